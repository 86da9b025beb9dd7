/**
 * Any HTTP URL as a store: one object, sent by `PUT` or `POST`, and looked at afterwards by `HEAD`.
 *
 * A web server that takes a body promises nothing but its status. So what was at the URL before is remembered; the
 * digests that the server reports (RFC 9530, RFC 3230, RFC 1864) are compared, where it reports some; and where it lets
 * nothing be looked at, the receipt says so.
 *
 * @since 0.1.0
 */
import type { Algorithm } from "@headrace/core/Digest"
import type { Capabilities, Content, Plan, Store, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { type Tls, Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as DigestFields from "./internal/digestFields.ts"
import * as Look from "./internal/look.ts"
import * as Session from "./internal/session.ts"
import * as Target from "./internal/target.ts"
import * as Words from "./internal/words.ts"

/**
 * A digest field that can be sent: `repr-digest` (RFC 9530, SHA-256 and SHA-512) or `content-md5` (RFC 1864).
 *
 * @since 0.1.0
 * @category models
 */
export type DigestField = DigestFields.DigestField

/**
 * Where an object goes, and how it is sent. Where nothing is said, the value in brackets holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * `http://` or `https://`. A user and password are sent as Basic credentials (RFC 7617); neither they nor the query
   * are ever shown.
   */
  readonly url: string
  /** `PUT` stores at the URL, `POST` gives to what is there; it is not sent again when it may have been taken (`PUT`). */
  readonly method?: "PUT" | "POST" | undefined
  /**
   * Header fields of every request to the URL's origin; no other origin gets them. Not `Content-Length`,
   * `Transfer-Encoding`, `Host`, `Expect`, `Connection` or `Trailer`.
   */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  /** `application/octet-stream` */
  readonly contentType?: string | undefined
  readonly tls?: Tls | undefined
  /**
   * Digest fields to send (`repr-digest`). In front of the body, when the transfer expects the digest or the source's
   * service reports it; else only with `digestTrailers`. For each of them a digest is computed, as the server may report
   * it afterwards; with none of them, only what an object that was there before has shown to be reported.
   */
  readonly digestHeaders?: ReadonlyArray<DigestField> | undefined
  /**
   * Send behind the body, in its trailer section, those of `digestHeaders` that are not known in front of it. The body
   * is sent in HTTP chunks then, which not every server takes (false).
   */
  readonly digestTrailers?: boolean | undefined
  /** Only make a new object: `If-None-Match: *` (RFC 9110 §13.1.2). Fails with `Conflict` when there is one (false). */
  readonly ifNoneMatch?: boolean | undefined
  /** What the server's ETags are, for servers of which it is known (nothing). */
  readonly etagIs?: "md5" | undefined
}

const fieldsOf = (options: Options): ReadonlyArray<DigestField> => options.digestHeaders ?? ["repr-digest"]

const isField = (name: string): name is DigestField => name in DigestFields.carried

/** What can be wrong with the options besides the target. */
const wrong = (options: Options): string | undefined => {
  const strange = fieldsOf(options).find((field) => !isField(field))
  if (strange !== undefined) return `'${strange}' is no digest field (known: repr-digest, content-md5)`
  if (options.digestTrailers === true && fieldsOf(options).length === 0) {
    return "digestTrailers needs a field in digestHeaders"
  }
  return (options.method ?? "PUT") === "PUT" || options.method === "POST"
    ? undefined
    : `the method is PUT or POST, not '${options.method as string}'`
}

/**
 * What is worth computing: what the server reports of what it has, else what a server that knows the fields would report.
 */
const wantedOf = (options: Options, content: Content, before: Look.Look): ReadonlyArray<Algorithm> => {
  const fields = fieldsOf(options)
  const sent = fields.flatMap((field) => {
    const known = DigestFields.carried[field].filter((algorithm) => content.digests?.[algorithm] !== undefined)
    return known.length > 0 || options.digestTrailers !== true ? known : [DigestFields.preferred[field]]
  })
  const reported: ReadonlyArray<Algorithm> =
    before._tag === "Found"
      ? (Object.keys(before.digests) as Array<Algorithm>)
      : fields.map((field) => DigestFields.preferred[field])
  return [...new Set([...reported, ...sent, ...(options.etagIs === "md5" ? (["md5"] as const) : [])])]
}

const notAsked: Look.Look = { _tag: "Unasked", status: 405, away: false }

const describe = (look: Look.Look): Capabilities => {
  const reports = look._tag === "Found" ? (Object.keys(look.digests) as Array<Algorithm>) : []
  return {
    shape: "whole",
    maxObjectBytes: undefined,
    reports,
    rangedRead: look._tag === "Found" ? look.ranged : undefined,
    needsSize: false,
    sharedMemory: true,
    places: [],
    learnt: {
      reports: look._tag === "Found" ? "probed" : "assumed",
      rangedRead: look._tag === "Found" && look.ranged !== undefined ? "probed" : "assumed",
      needsSize: "assumed",
      sharedMemory: "configured"
    },
    details: {
      object:
        look._tag === "Found"
          ? look.size === undefined
            ? "of unknown size"
            : `${look.size} bytes`
          : look._tag === "Absent"
            ? "none"
            : `cannot be asked for (${Words.status(look.status)})`,
      ...(look._tag === "Found" && look.server !== undefined ? { server: look.server } : undefined)
    }
  }
}

const planned = (options: Options, look: Look.Look): Plan => {
  switch (look._tag) {
    case "Found": {
      const size = look.size === undefined ? "an object of unknown size" : `${look.size} bytes`
      return options.ifNoneMatch === true
        ? { action: "fail", why: `there is an object already (${size}), which is not replaced` }
        : { action: "create", why: `replaces ${size}` }
    }
    case "Absent":
      return { action: "create", why: "a new object" }
    case "Unasked":
      return look.status === 401
        ? { action: "fail", why: "the server does not let itself be asked without (other) credentials" }
        : { action: "create", why: `the server does not say what is there (${Words.status(look.status)})` }
  }
}

const unusable = (uri: string, error: StoreError.StoreError): Store<Transport, WholeSession> => ({
  uri,
  capabilities: Effect.fail(error),
  plan: () => Effect.fail(error),
  open: () => Effect.fail(error)
})

/**
 * An HTTP URL as a destination. Nothing is thrown: what is wrong with the options is the error (`InvalidUri`,
 * `InvalidConfig`) of whatever is asked of the store.
 *
 * Fails with `Conflict` where `ifNoneMatch` finds an object, `Unauthorized`, `Forbidden`, `TooLarge`, `QuotaExceeded`,
 * `UnsupportedFormat` or `Unsupported` as the server says, and with `Rejected` for all other refusals, redirects that
 * lose the body among them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const put = (options: Options): Store<Transport, WholeSession> => {
  const target = Target.of(options)
  if ("_tag" in target) {
    const { message, reason, uri } = target
    return unusable(uri, StoreError.make(reason, { uri, message }))
  }
  const { uri } = target
  const bad = wrong(options)
  if (bad !== undefined) return unusable(uri, StoreError.make("InvalidConfig", { uri, message: bad }))
  const post = options.method === "POST"
  const spot = Session.spotOf(target, options.etagIs)
  const look = Effect.flatMap(Transport, (transport) => Look.at(transport, spot))

  return {
    uri,
    capabilities: Effect.map(look, describe),
    plan: () =>
      post
        ? Effect.succeed({ action: "create", why: "a POST: what it makes is the server's to say" })
        : Effect.flatMap(look, (found) => {
            const error = Session.unplannable(found, target)
            return error === undefined ? Effect.succeed(planned(options, found)) : Effect.fail(error)
          }),
    open: (content) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        const before = post ? notAsked : yield* look
        return Session.make({
          transport,
          target,
          settings: {
            method: options.method ?? "PUT",
            ifNoneMatch: options.ifNoneMatch ?? false,
            fields: fieldsOf(options),
            trailers: options.digestTrailers ?? false,
            claimed: content.digests ?? {}
          },
          content,
          wanted: wantedOf(options, content, before),
          etagIs: options.etagIs,
          before
        })
      })
  }
}
