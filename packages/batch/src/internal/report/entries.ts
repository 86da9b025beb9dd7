/**
 * What a line of a program's output is: a receipt, an event of another kind, something else, or wrong.
 */
import type * as Receipt from "@headrace/core/Receipt"

export type Entry =
  | { readonly _tag: "Receipt"; readonly receipt: Receipt.Receipt }
  | { readonly _tag: "Event" }
  | { readonly _tag: "Other" }
  | { readonly _tag: "Wrong"; readonly why: string }

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isAmount = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value) && value >= 0

const isText = (value: unknown): boolean => typeof value === "string"

/** The furthest times that a date can be of. */
const isTime = (value: unknown): boolean => typeof value === "string" && !Number.isNaN(Date.parse(value))

const statuses = new Set<unknown>(["verified", "stored", "failed", "cancelled"])

const wrongOfError = (where: string, error: unknown): string | undefined => {
  if (!isObject(error)) return `${where}: what failed has an error, as an object`
  for (const name of ["reason", "message", "left"]) {
    if (!isText(error[name])) return `${where}.${name}: a text is allowed`
  }
  return undefined
}

const wrongOfRetried = (where: string, retried: unknown): string | undefined =>
  retried === undefined || (isObject(retried) && Object.values(retried).every(isAmount))
    ? undefined
    : `${where}: numbers by reason are allowed`

const wrongOfEnd = (end: unknown, index: number): string | undefined => {
  const where = `destinations[${index}]`
  if (!isObject(end)) return `${where}: an object is allowed`
  if (!isText(end["uri"])) return `${where}.uri: a text is allowed`
  if (typeof end["required"] !== "boolean") return `${where}.required: true or false is allowed`
  if (!statuses.has(end["status"])) return `${where}.status: verified, stored, failed or cancelled is allowed`
  for (const name of ["attempts", "bytesSent", "elapsedMs"]) {
    if (!isAmount(end[name])) return `${where}.${name}: a number from 0 is allowed`
  }
  if (!isTime(end["startedAt"])) return `${where}.startedAt: a time as ISO 8601 has it is allowed`
  const bad = end["status"] === "failed" || end["status"] === "cancelled"
  return (
    (bad ? wrongOfError(`${where}.error`, end["error"]) : undefined) ??
    wrongOfRetried(`${where}.retried`, end["retried"])
  )
}

const wrongOfReceipt = ({ destinations, id, source }: Fields): string | undefined => {
  if (!isText(id)) return "id: a text is allowed"
  if (!isObject(source)) return "source: an object is allowed"
  if (!isText(source["uri"])) return "source.uri: a text is allowed"
  if (source["size"] !== null && !isAmount(source["size"])) return "source.size: a number from 0, or null, is allowed"
  if (!Array.isArray(destinations) || destinations.length === 0)
    return "destinations: a list of at least one is allowed"
  for (const [index, end] of destinations.entries()) {
    const wrong = wrongOfEnd(end, index)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** What a JSON value is. A receipt in a file of receipts has no type; among events it has. */
export const of = (value: unknown): Entry => {
  if (!isObject(value)) return { _tag: "Other" }
  const { type } = value
  const isReceipt = type === "receipt" || (type === undefined && "destinations" in value && "source" in value)
  if (!isReceipt) return typeof type === "string" ? { _tag: "Event" } : { _tag: "Other" }
  const why = wrongOfReceipt(value)
  return why === undefined ? { _tag: "Receipt", receipt: value as unknown as Receipt.Receipt } : { _tag: "Wrong", why }
}
