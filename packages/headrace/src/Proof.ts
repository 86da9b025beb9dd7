/**
 * A receipt in words, for people: what was sent, what the service says it holds, who computed which digest and whether
 * they are equal.
 *
 * @since 0.1.0
 */
import * as Quantity from "@headrace/core/Quantity"
import * as Text from "./Text.ts"
import type { Algorithm, Destination, Receipt } from "./Types.ts"

const size = (bytes: number): string => `${Text.count(bytes)} bytes (${Quantity.formatBytes(bytes)})`

const row = (name: string, text: string): string => Text.oneLine(`  ${name.padEnd(9)} ${text}`)

const sent = (receipt: Receipt, end: Destination): string => {
  const bytes = receipt.source.size ?? end.bytesSent
  const again = end.bytesSent - bytes
  const now = again < 0 ? `${size(end.bytesSent)} of ${Text.count(bytes)}` : size(bytes)
  return [
    `${now} in ${Quantity.formatDuration(end.elapsedMs)}`,
    ...(end.elapsedMs > 0 && bytes > 0 ? [Quantity.formatRate((end.bytesSent * 1000) / end.elapsedMs)] : []),
    end.attempts === 1 ? "1 attempt" : `${end.attempts} attempts`,
    ...(again > 0 ? [`${Quantity.formatBytes(again)} of it sent again`] : [])
  ].join(", ")
}

const isOf = (end: Destination, scheme: string): boolean => end.uri.toLowerCase().startsWith(`${scheme}:`)

const isFile = (end: Destination): boolean => isOf(end, "file") || !/^[a-z][a-z0-9+.-]*:\/\//i.test(end.uri)

const holds = (end: Destination, object: NonNullable<Destination["object"]>): string =>
  [
    `${isOf(end, "glance") ? "image" : isFile(end) ? "file" : "object"} ${object.id}`,
    ...(object.store === undefined ? [] : [`in store ${object.store}`]),
    object.size === null ? "of unknown size" : `of ${Text.count(object.size)} bytes`
  ].join(" ")

/** Who computed a digest, and what came of comparing it. */
const judged = (algorithm: Algorithm, end: Destination): string => {
  const ours = `computed here${end.proof === undefined ? "" : ` by ${end.proof.computedBy}`}`
  const compared = end.proof?.compared.includes(algorithm) === true
  const theirs = end.object?.digests[algorithm] !== undefined
  const readBack = end.proof?.level === "destination"
  if (!compared) return `${ours}; ${isFile(end) ? "a file system" : "the service"} reports none to compare`
  if (!theirs) return `${ours} and of the bytes read back: equal`
  return readBack ? `${ours}, by the service, and of the bytes read back: equal` : `${ours} and by the service: equal`
}

const level: Readonly<Record<NonNullable<Destination["proof"]>["level"], string>> = {
  transfer: "what was sent was compared with what the service reports",
  source: "the source was read a second time and gave the same digests",
  destination: "what is stored was read back and gave the same digests"
}

const several = ({ destinations }: Receipt): boolean => destinations.length > 1

/** What was read, where several destinations have it in common. */
const read = (receipt: Receipt): ReadonlyArray<string> => {
  const { digests, size: bytes, uri } = receipt.source
  if (!several(receipt) || bytes === null) return []
  const all = Object.entries(digests) as ReadonlyArray<[Algorithm, string]>
  return [
    Text.oneLine(`read ${uri === "-" ? "standard input" : uri}`),
    row("size", size(bytes)),
    ...all.map(([algorithm, hex]) => row(algorithm, hex))
  ]
}

/**
 * The lines for one destination that holds the bytes; none for one that failed, which has an error instead.
 *
 * @since 0.1.0
 * @category formatting
 */
export const destination = (receipt: Receipt, end: Destination): ReadonlyArray<string> => {
  if (end.object === undefined || (end.status !== "verified" && end.status !== "stored")) return []
  const all = Object.entries(receipt.source.digests) as ReadonlyArray<[Algorithm, string]>
  // Of several destinations each has its own; all of them are told once.
  const digests = several(receipt) ? all.filter(([algorithm]) => end.proof?.compared.includes(algorithm)) : all
  const byParts = end.proof?.compared.filter((what) => what.includes(" ")) ?? []
  return [
    Text.oneLine(`${end.status} ${end.uri}`),
    row("sent", end.attempts === 0 && end.bytesSent === 0 ? "nothing had to be" : sent(receipt, end)),
    row("holds", holds(end, end.object)),
    ...digests.map(([algorithm, hex]) => row(algorithm, `${hex}  ${judged(algorithm, end)}`)),
    ...(end.status === "stored"
      ? [row("proof", `${isFile(end) ? "a file system" : "the service"} reports no digest: only the size was compared`)]
      : []),
    ...(end.status === "verified" && end.proof !== undefined
      ? [row("proof", `${level[end.proof.level]}${byParts.length === 0 ? "" : `: the ${byParts.join(", ")}`}`)]
      : []),
    ...(end.notes ?? []).map((note) => row("note", note))
  ]
}

/**
 * The lines for all destinations that hold the bytes; where there are several destinations, what was read comes first.
 *
 * @since 0.1.0
 * @category formatting
 */
export const lines = (receipt: Receipt): ReadonlyArray<string> => {
  const ends = receipt.destinations.flatMap((end) => destination(receipt, end))
  return ends.length === 0 ? [] : [...read(receipt), ...ends]
}
