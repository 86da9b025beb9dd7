/**
 * A line that is done again: its destinations that stand are left alone, so that nothing is made twice, and their verdicts
 * go on into the new receipt.
 */
import type * as Receipt from "@headrace/core/Receipt"
import type { Item } from "../../Journal.ts"
import type { Line } from "../../Line.ts"

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

/** Entries of a destination in a receipt: its own, and those of the copies that its service makes, a store each. */
const entriesOf = (text: string): number => {
  if (!/^glance:/i.test(text)) return 1
  const stores = [...text.matchAll(/[?&]store=([^&#]*)/g)].flatMap(([, list = ""]) => list.split(/,|%2c/i))
  return Math.max(1, new Set(stores.filter((store) => store !== "")).size)
}

/** A receipt's entries by the places of the destinations, which have the same order; `undefined` where they do not fit. */
const byPlace = (
  entries: ReadonlyArray<Receipt.Destination>,
  texts: ReadonlyArray<string>
): ReadonlyArray<ReadonlyArray<Receipt.Destination>> | undefined => {
  const counts = texts.map(entriesOf)
  const whole = counts.reduce((sum, count) => sum + count, 0)
  // Where nothing was transferred, copies have no entries of their own.
  const single = entries.length === texts.length
  if (entries.length !== whole && !single) return undefined
  let at = 0
  return counts.map((count) => entries.slice(at, (at += single ? 1 : count)))
}

const isGood = ({ status }: Receipt.Destination): boolean => status === "verified" || status === "stored"

const whole = (line: Line): Again => ({ line, placeOf: (place) => place, stands: false, merge: (receipt) => receipt })

/** Nothing that has once been proven is deleted: it may be what somebody has changed. */
const replacing = (entry: Receipt.Destination, old: string | undefined): Receipt.Destination =>
  old === undefined || entry.object === undefined || entry.object.id === old || !entry.uri.startsWith("glance://")
    ? entry
    : {
        ...entry,
        notes: [...(entry.notes ?? []), `it replaces image ${old}, which is left alone if it is still there`]
      }

/** Destinations of which everything stands, by their places. */
export const standing = (line: Pick<Line, "to" | "also">, receipt: Receipt.Receipt): ReadonlyArray<boolean> => {
  const texts = [...line.to, ...line.also]
  const entries = byPlace(receipt.destinations, texts)
  return texts.map((_, place) => entries !== undefined && entries[place]!.every(isGood))
}

/** The objects of the destinations of which everything stands. */
export const objects = (line: Pick<Line, "to" | "also">, receipt: Receipt.Receipt): ReadonlyArray<string> => {
  const entries = byPlace(receipt.destinations, [...line.to, ...line.also])
  return (entries ?? []).flatMap((ends) =>
    ends.every(isGood) ? ends.flatMap(({ object }) => (object === undefined ? [] : [object.id])) : []
  )
}

export const of = ({ before, line }: Item): Again => {
  if (before === undefined) return whole(line)
  const old = JSON.parse(before.receipt) as Receipt.Receipt
  const texts = [...line.to, ...line.also]
  const entries = byPlace(old.destinations, texts)
  if (entries === undefined) return whole(line)
  const wrong = new Set(before.wrong)
  const stands = entries.map((ends) => ends.every((end) => isGood(end) && !wrong.has(end.uri)))
  if (!stands.includes(true)) return whole(line)
  const places = [...texts.keys()].filter((place) => stands[place] !== true)
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
      const fresh = byPlace(destinations, [...left.to, ...left.also])
      // Better an entry too many than one that is missing.
      const rest = fresh === undefined ? destinations : []
      return {
        ...receipt,
        source: receipt.source.size === null ? old.source : receipt.source,
        destinations: [
          ...texts.flatMap((_, place) => {
            if (stands[place] === true) return entries[place]!
            const required = place < line.to.length
            return (fresh?.[places.indexOf(place)] ?? []).map((entry) =>
              Object.assign({}, replacing(entry, entries[place]![0]?.object?.id), { required })
            )
          }),
          ...rest
        ]
      }
    }
  }
}
