/**
 * A line that is done again: its destinations that stand are left alone, so that nothing is made twice, and their verdicts
 * go on into the new receipt.
 */
import type * as Receipt from "@headrace/core/Receipt"
import type { Item } from "../../Journal.ts"
import type { Line } from "../../Line.ts"
import * as Uri from "../../Uri.ts"

export interface Again {
  /** With the destinations that are to be written; one on best effort has to do where no other is left. */
  readonly line: Line
  /** The place in the whole line of a destination in this one. */
  readonly placeOf: (place: number) => number
  /** Whether nothing is left to do. */
  readonly stands: boolean
  /** The receipt of the whole line. */
  readonly merge: (receipt: Receipt.Receipt) => Receipt.Receipt
}

/** A destination and the copies that its service makes of it have this in common. */
const keyOf = (uri: string): string => {
  const [path = "", query = ""] = Uri.shown(uri).split("?", 2)
  const pairs = query.split("&").filter((pair) => pair !== "" && !pair.startsWith("store="))
  return `${path}?${pairs.sort().join("&")}`
}

const isGood = ({ status }: Receipt.Destination): boolean => status === "verified" || status === "stored"

const whole = (line: Line): Again => ({ line, placeOf: (place) => place, stands: false, merge: (receipt) => receipt })

export const of = ({ before, line }: Item): Again => {
  if (before === undefined) return whole(line)
  const old = JSON.parse(before.receipt) as Receipt.Receipt
  const texts = [...line.to, ...line.also]
  const keys = texts.map(keyOf)
  const wrong = new Set(before.wrong)
  const entriesOf = (place: number) => old.destinations.filter(({ uri }) => keyOf(uri) === keys[place])
  const standing = texts.map((_, place) => {
    const entries = entriesOf(place)
    return entries.length > 0 && entries.every((entry) => isGood(entry) && !wrong.has(entry.uri))
  })
  if (!standing.includes(true)) return whole(line)
  const places = [...texts.keys()].filter((place) => standing[place] !== true)
  const to = places.filter((place) => place < line.to.length)
  const left = {
    to: (to.length > 0 ? to : places).map((place) => texts[place]!),
    also: to.length > 0 ? places.filter((place) => place >= line.to.length).map((place) => texts[place]!) : []
  }
  return {
    line: { ...line, ...left },
    placeOf: (place) => places[place] ?? place,
    stands: places.length === 0,
    merge: ({ destinations, ...receipt }) => {
      const all = texts.flatMap((_, place) =>
        standing[place] === true
          ? entriesOf(place)
          : destinations
              .filter(({ uri }) => keyOf(uri) === keys[place])
              .map((entry) => Object.assign({}, entry, { required: place < line.to.length }))
      )
      // Two destinations that differ in their store alone have the same entries: each once.
      return {
        ...receipt,
        source: receipt.source.size === null ? old.source : receipt.source,
        destinations: [...new Map(all.map((entry) => [entry.uri, entry])).values()]
      }
    }
  }
}
