/**
 * Looks at what a URL holds: by HEAD, or by a GET of one byte where HEAD is not answered.
 */
import type { Digests } from "@headrace/core/Digest"
import type { StoreError } from "@headrace/core/StoreError"
import type { Response, Tls, Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Answer from "./answer.ts"
import * as DigestFields from "./digestFields.ts"

export interface Found {
  readonly _tag: "Found"
  readonly size: number | undefined
  readonly digests: Digests
  readonly etag: string | undefined
  readonly modified: string | undefined
  /** Whether the server says that it serves ranges. */
  readonly ranged: boolean | undefined
  readonly server: string | undefined
  /** Whether HEAD has said that there is nothing, wrongly. */
  readonly denied: boolean
}

/** `Unasked`: the server does not let itself be asked; `away`: at this moment. */
export type Look =
  | Found
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Unasked"; readonly status: number; readonly away: boolean }

/** What is to be looked at. */
export interface Spot {
  readonly uri: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly tls: Tls | undefined
  readonly etagIs: "md5" | undefined
}

/** A cache's memory of what was there is no answer, and a coded one is about other bytes. */
const asking = { "accept-encoding": "identity", "cache-control": "no-cache", ...DigestFields.wants }

const isCoded = (headers: Response["headers"]): boolean => {
  const coding = headers["content-encoding"]
  return coding !== undefined && coding.trim().toLowerCase() !== "identity"
}

const sizeOf = ({ headers, status }: Response): number | undefined => {
  if (isCoded(headers)) return undefined
  const text =
    status === 206 || status === 416
      ? /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(headers["content-range"] ?? "")?.[1]
      : headers["content-length"]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

const found = (response: Response, etagIs: "md5" | undefined): Found => {
  const { headers, status } = response
  const ranges = headers["accept-ranges"]
  return {
    _tag: "Found",
    size: sizeOf(response),
    digests: DigestFields.reported(response, etagIs),
    etag: headers["etag"],
    modified: headers["last-modified"],
    ranged: status === 206 || ranges === "bytes" ? true : ranges === "none" ? false : undefined,
    server: headers["server"],
    denied: false
  }
}

/** Asks by HEAD. `doubtful`: also where HEAD says that there is nothing, it is tried by GET. */
export const at = (transport: Transport["Service"], spot: Spot, doubtful = false): Effect.Effect<Look, StoreError> => {
  const ask = (method: "HEAD" | "GET", range: Readonly<Record<string, string>>) =>
    Effect.mapError(
      transport.send({
        method,
        url: spot.url,
        headers: { ...spot.headers, ...asking, ...range },
        ...(spot.tls === undefined ? undefined : { tls: spot.tls })
      }),
      (error) => Answer.ofTransport(error, spot.uri)
    )

  const byGet = Effect.map(ask("GET", { range: "bytes=0-0" }), (response): Look => {
    const { status } = response
    if (status === 200 || status === 206) return found(response, spot.etagIs)
    // Of no bytes there is no first one; the answer's own digests are those of a page.
    if (status === 416 && sizeOf(response) === 0) return { ...found(response, spot.etagIs), digests: {} }
    if (status === 404 || status === 410) return { _tag: "Absent" }
    return { _tag: "Unasked", status, away: Answer.isAway(status) }
  })

  return Effect.scoped(
    Effect.gen(function* () {
      const head = yield* Effect.result(ask("HEAD", {}))
      // A server that hangs up on a HEAD may still know GET; one that cannot be reached fails at both.
      if (head._tag === "Failure") return head.failure.retryable ? yield* byGet : yield* head.failure
      const { status } = head.success
      if (status === 404 || status === 410) {
        if (!doubtful) return { _tag: "Absent" } as const
        const got = yield* byGet
        return got._tag === "Found" ? { ...got, denied: true } : got
      }
      if (status !== 200 && status !== 204) return yield* byGet
      const byHead = found(head.success, spot.etagIs)
      // Some know no length for HEAD, or none but 0.
      if (byHead.size !== undefined && byHead.size > 0) return byHead
      const got = yield* byGet
      return got._tag === "Found" ? { ...got, digests: { ...byHead.digests, ...got.digests } } : byHead
    })
  )
}

/** Whether what is there now is known to be something else than what was there before. */
export const differs = (before: Look, now: Found): boolean =>
  before._tag === "Absent" ||
  (before._tag === "Found" &&
    (before.size !== now.size || before.etag !== now.etag || before.modified !== now.modified))

/** Whether two answers name different states of a resource, by validators that cannot be mistaken. */
export const isOther = (etag: string | undefined, now: Found): boolean =>
  isStrong(etag) && isStrong(now.etag) && etag !== now.etag

export const isStrong = (etag: string | undefined): etag is string => etag !== undefined && !etag.startsWith("W/")
