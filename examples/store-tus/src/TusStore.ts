/**
 * A server that speaks tus 1.0 (https://tus.io/protocols/resumable-upload) as a store: the worked example of
 * docs/write-a-store.md.
 *
 * An upload is a URL that the server gives. Its bytes are appended, from an offset that the server tells, so an object is
 * sent as numbered parts, one after the other, and one that was cut off goes on.
 */
import * as Blocks from "@headrace/core/Blocks"
import type { Capabilities, Content, Inspection, PartLimits, PartsSession, Store } from "@headrace/core/Store"
import { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Api from "./internal/api.ts"

export interface Options {
  /** Where uploads are made: `https://files.example.org/files`. A user and password in it are not shown. */
  readonly endpoint: string
  /** Told to the server as the metadata `filename`. */
  readonly filename?: string
  /** Fields of every request to the endpoint's origin. */
  readonly headers?: Readonly<Record<string, string>>
}

/** tus knows no limits: parts are only how often the engine hears that bytes have arrived. */
const limits: PartLimits = {
  minBytes: 1,
  maxBytes: Number.MAX_SAFE_INTEGER,
  maxParts: Number.MAX_SAFE_INTEGER,
  inFlight: 1
}

const capabilitiesOf = ({ extensions, maxBytes }: Api.Server): Capabilities => ({
  shape: "parts",
  parts: limits,
  maxObjectBytes: maxBytes,
  reports: [],
  checks: { whole: [], part: [] },
  rangedRead: undefined,
  needsSize: !extensions.includes("creation-defer-length"),
  sharedMemory: true,
  conditionalCreate: false,
  serverSideCopy: false,
  unfinished: { list: false, abort: extensions.includes("termination"), resume: true },
  places: [],
  learnt: {
    shape: "configured",
    maxObjectBytes: "probed",
    needsSize: "probed",
    sharedMemory: "configured",
    unfinished: "probed"
  },
  details: { extensions: extensions.join(", ") || "none" }
})

/** A new upload at a tus server. */
export const upload = (options: Options): Store<Transport, PartsSession> => {
  const { uri } = Api.endpointOf(options)
  const api = Effect.map(Transport, (transport) => Api.make(options, transport))
  return {
    uri,
    capabilities: Effect.flatMap(api, ({ server }) => Effect.map(server, capabilitiesOf)),
    plan: (content) =>
      Effect.flatMap(api, ({ check, server }) =>
        Effect.as(Effect.tap(server, check(content)), { action: "create", why: "a new upload" })
      ),
    open: (content) =>
      Effect.gen(function* () {
        const tus = yield* api
        yield* Effect.tap(tus.server, tus.check(content))
        return session(tus, content)
      }),
    abort: (url) => Effect.flatMap(api, (tus) => Effect.asVoid(tus.terminate(url)))
  }
}

/** Milliseconds that somebody who interrupts waits for an answer: what was made and is not known can be deleted by nobody. */
const knownMs = 1000

const known = <A, E>(step: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(Effect.forkDetach(step, { startImmediately: true }), (fiber) =>
    Effect.onInterrupt(Fiber.join(fiber), () =>
      Effect.andThen(Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), knownMs), Fiber.interrupt(fiber))
    )
  )

const session = (tus: Api.Api, content: Content): PartsSession => {
  const { uri } = tus
  let url: string | undefined
  /** How many bytes the server has, where that is known without asking. */
  let offset: number | undefined

  const looked = Effect.suspend(() => (url === undefined ? Effect.undefined : tus.look(url)))

  const begin = Effect.gen(function* () {
    // Where the answer is lost, an upload without a byte is left, which the server forgets when it likes.
    if (url === undefined) yield* known(Effect.tap(tus.create(content.size), (made) => Effect.sync(() => (url = made))))
    offset = 0
  })

  const left = Effect.suspend(() =>
    url === undefined ? Effect.succeed("none") : Effect.succeed(`upload ${url} of ${uri}`)
  )

  const discard = Effect.suspend(() => {
    if (url === undefined) return Effect.succeed("none")
    return Effect.matchEffect(tus.terminate(url), {
      onSuccess: () =>
        Effect.sync(() => {
          url = undefined
          return "none"
        }),
      onFailure: () => left
    })
  })

  return {
    shape: "parts",
    wanted: [],
    limits,
    partDigests: [],
    begin,
    inspect: Effect.map(looked, (found): Inspection => {
      if (found === undefined) return { _tag: "Absent" }
      // The upload is a URL of its own, so what is complete there is what this session has sent.
      return found.length !== undefined && found.offset === found.length
        ? { _tag: "Stored", object: { id: url!, size: found.length, digests: {} } }
        : { _tag: "Ready" }
    }),
    checkPlace: () => Effect.void,
    recreate: Effect.andThen(
      discard,
      Effect.suspend(() => ((url = undefined), begin))
    ),
    owned: Effect.succeed(true),
    location: Effect.sync(() => url ?? uri),
    discard,
    left,
    seal: Effect.void,
    read: Stream.suspend(() => tus.read(url ?? uri)),
    notes: Effect.succeed(["the server reports no digest: only a read-back proves the bytes"]),
    writePart: (part) =>
      Effect.gen(function* () {
        const end = part.offset + part.length
        // After a part that failed the server says how far it came.
        const from = offset ?? (yield* tus.offset(url!))
        if (from < part.offset || from > end) return yield* tus.misplaced(from, part)
        offset = undefined
        if (from < end) {
          const stream = Blocks.drop(part.stream, from - part.offset)
          yield* tus.append(url!, from, { ...part, stream, length: end - from })
        }
        offset = end
        return String(end)
      }),
    finish: ({ size }) =>
      Effect.gen(function* () {
        if (content.size === undefined) yield* tus.complete(url!, size)
        const there = yield* tus.offset(url!)
        if (there !== size) return yield* tus.misplaced(there, { offset: size, length: 0 })
      }),
    resumption: {
      token: Effect.sync(() => url ?? ""),
      resume: (token, _noted, { partBytes, size }) =>
        Effect.gen(function* () {
          const found = yield* tus.look(token)
          if (found === undefined || found.length !== size) return undefined
          url = token
          offset = found.offset
          // A part that came in halfway is gone on with by `writePart`.
          const whole = size === found.offset ? Math.ceil(size / partBytes) : Math.floor(found.offset / partBytes)
          return Array.from({ length: whole }, (_, index) => {
            const length = Math.min(partBytes, found.offset - index * partBytes)
            const end = index * partBytes + length
            return { number: index + 1, offset: index * partBytes, length, tag: String(end), digests: {} }
          })
        })
    }
  }
}
