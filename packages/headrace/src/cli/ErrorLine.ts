/**
 * Errors as people read them on standard error: one line that names what is wrong, what is left behind and what to do.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Text from "../Text.ts"
import type { Reason } from "../Types.ts"

/** A failure of a transfer. */
export interface Failure {
  readonly reason: Reason
  readonly uri: string
  readonly message: string
  readonly status?: number | undefined
  readonly objectId?: string | undefined
  /** In the receipt's words. */
  readonly left: string
  /** Whether body bytes were sent to any destination. */
  readonly sent: boolean
  /** Whether any destination had been asked. */
  readonly asked: boolean
}

const remains = ({ left, sent }: Failure): string => {
  if (left === "none") return sent ? "nothing is left behind" : "nothing was sent"
  if (left.startsWith("unknown ")) return `what is left at ${left.slice("unknown ".length)} could not be asked`
  return `${left} is left behind`
}

const again = "try again"
const advices: Readonly<Record<Reason, string>> = {
  Unauthorized: "check the user, password or token in clouds.yaml or OS_*",
  Forbidden: "ask for the right to do this in this project",
  NotFound: "check the name or id",
  Conflict: "look at who uses it, then try again",
  Gone: again,
  TooLarge: "ask the service's operators for the largest size it takes",
  QuotaExceeded: "delete what is not needed, or ask for a larger quota",
  UnsupportedFormat: "give a disk_format that fits the content and that the service takes",
  UnknownStore: "see what headrace stores lists",
  StoreIgnored: "ask the service's operators, or leave the store out",
  Unavailable: "try again later",
  ConnectionLost: "check the network, then try again",
  Stalled: "check the network, or allow more time with --stall and --answer",
  SourceUnreadable: "check the source",
  SourceChanged: "try again when nobody writes to the source",
  SourceTooShort: "try again when the source is complete",
  SourceTooLong: "try again when nobody writes to the source",
  SourceMismatch: "check the source, and the digest given with --expect",
  DigestMismatch: "try again; if it stays so, tell the service's operators",
  SizeMismatch: "try again; if it stays so, tell the service's operators",
  Rejected: "see what the service says",
  Unsupported: "leave out what is not supported",
  InvalidUri: "correct the URI",
  InvalidConfig: "correct the configuration",
  Interrupted: "run it again to upload"
}

/** What is different where there is no cloud. */
const advicesOf: Readonly<Record<string, Partial<Readonly<Record<Reason, string>>>>> = {
  // Where a URL is read, nobody has a project.
  http: {
    Unauthorized: "check the user and password in the URL",
    Forbidden: "ask the server's operators for the right to it",
    NotFound: "check the URL"
  },
  s3: {
    Unauthorized: "check the keys in AWS_* or in the profile",
    Conflict: "write another key, or leave out if_none_match to replace it",
    Forbidden: "ask for the right to do this in this bucket",
    NotFound: "check the bucket and the key"
  },
  swift: { NotFound: "check the container and the object" },
  file: {
    Conflict: "name a file that is to be written",
    Forbidden: "check the permissions",
    NotFound: "check the path",
    QuotaExceeded: "make room, or write somewhere else",
    TooLarge: "write to a file system that takes files of this size",
    Unavailable: "look at the disk and at the system's log"
  }
}

const schemeOf = (uri: string): string => {
  const scheme = /^([a-z0-9+.-]+):\/\//i.exec(uri)?.[1]?.toLowerCase() ?? "file"
  return scheme === "https" ? "http" : scheme
}

const advice = ({ asked, left, reason, uri }: Failure): string => {
  if (reason === "SourceTooShort" && !asked) return "give --allow-empty if that is meant"
  // It takes no second upload, and may hold all that was sent.
  if (reason === "Interrupted" && left.startsWith("active image")) return "look at it before you run it again"
  if (reason === "Interrupted" && left.startsWith("upload ")) return "run it again to go on"
  return advicesOf[schemeOf(uri)]?.[reason] ?? advices[reason]
}

/** The line of a failed transfer. */
export const ofFailure = (failure: Failure): string => {
  const details = [
    ...(failure.status === undefined || failure.message.includes(`status ${failure.status}`)
      ? []
      : [`status ${failure.status}`]),
    ...(failure.objectId === undefined ||
    failure.message.includes(failure.objectId) ||
    failure.uri.includes(failure.objectId)
      ? []
      : [`${schemeOf(failure.uri) === "glance" ? "image" : "object"} ${failure.objectId}`])
  ]
  const shown = details.length === 0 ? "" : ` (${details.join(", ")})`
  return Text.oneLine(`headrace: ${failure.uri}: ${failure.message}${shown}: ${remains(failure)}, ${advice(failure)}`)
}

/** The line of an error in what was written: an option, a URI. */
export const ofUsage = (what: string, message: string): string => Text.oneLine(`headrace: ${what}: ${message}`)

/** The line of a fault in the program itself. */
export const ofDefect = (cause: Cause.Cause<unknown>): string => {
  const defect = Cause.squash(cause)
  return ofUsage("internal error", defect instanceof Error ? `${defect.name}: ${defect.message}` : String(defect))
}

/** The line of a standard output that cannot be written; `code` is the system's, such as ENOSPC. */
export const ofOutput = (code: string): string =>
  ofUsage("standard output", `cannot be written (${code}): what it should have said is lost`)
