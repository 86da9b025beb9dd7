/**
 * Receipts out of lines, as `run --receipts` and `--json` write them.
 */
import * as Digest from "@headrace/core/Digest"
import type * as Receipt from "@headrace/core/Receipt"

type Json = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const isSize = (value: unknown): value is number | null =>
  value === null || (typeof value === "number" && Number.isSafeInteger(value) && value >= 0)

/** Digests that we know; what others there are nobody can compare. */
const digestsOf = (value: unknown): Digest.Digests =>
  isRecord(value)
    ? Object.fromEntries(
        Object.entries(value).flatMap(([name, hex]) =>
          Digest.isAlgorithm(name) && typeof hex === "string" ? [[name, hex.toLowerCase()]] : []
        )
      )
    : {}

const destinationOf = (value: unknown): Receipt.Destination | undefined => {
  if (!isRecord(value) || typeof value["uri"] !== "string" || typeof value["status"] !== "string") return undefined
  const { object } = value
  if (object === undefined) return value as unknown as Receipt.Destination
  if (!isRecord(object) || typeof object["id"] !== "string" || !isSize(object["size"])) return undefined
  if (object["store"] !== undefined && typeof object["store"] !== "string") return undefined
  const known = { ...object, digests: digestsOf(object["digests"]) }
  return { ...value, object: known } as unknown as Receipt.Destination
}

/** A receipt; `undefined` for an event of another kind, and words for what is none. */
export const read = (text: string): Receipt.Receipt | string | undefined => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return "this is no JSON"
  }
  if (!isRecord(json)) return "this is no JSON object"
  const { destinations, id, source, type } = json
  if (type !== undefined && type !== "receipt") return typeof type === "string" ? undefined : "its type is no text"
  if (typeof id !== "string" || !isRecord(source) || !Array.isArray(destinations)) return "this is no receipt"
  if (typeof source["uri"] !== "string" || !isSize(source["size"])) return "source: this is none of a receipt"
  const ends = destinations.map(destinationOf)
  const wrong = ends.indexOf(undefined)
  if (wrong >= 0) return `destinations[${wrong}]: this is none of a receipt`
  return {
    id,
    source: { uri: source["uri"], size: source["size"], digests: digestsOf(source["digests"]) },
    destinations: ends as ReadonlyArray<Receipt.Destination>
  }
}
