/**
 * A store in memory, on any platform: for tests, and to try the engine without a service. It takes objects as whole
 * bodies or as parts, behaves as object stores do (an object appears when it is complete, and replaces what had its
 * key), and computes the digests that it reports from the bytes that it holds.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import { type Algorithm, algorithms, type Digests } from "./Digest.ts"
import type * as Reason from "./Reason.ts"
import type { Body, Capabilities, Inspection, PartLimits, Session, SessionBase, Store, StoredObject } from "./Store.ts"
import * as StoreError from "./StoreError.ts"
import * as WasmAlgorithm from "./WasmAlgorithm.ts"

/**
 * What kind of store it is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `whole` unless said. */
  readonly shape?: "whole" | "parts"
  /** Digests of its objects that it reports (sha256). */
  readonly reports?: ReadonlyArray<Algorithm>
  /** How objects are cut: parts of 5 MiB to 5 GiB, 10,000 of them, as S3 has it. */
  readonly limits?: PartLimits
  /** Digests of each part that it wants to be told, and checks. */
  readonly partDigests?: ReadonlyArray<Algorithm>
}

/**
 * An upload of parts that has not been finished.
 *
 * @since 0.1.0
 * @category models
 */
export interface Unfinished {
  readonly key: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** By number, from 1. */
  readonly parts: Map<number, Uint8Array>
}

/**
 * The store, and what is in it.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryStore {
  /** Objects by key. */
  readonly objects: Map<string, Uint8Array>
  /** By id. */
  readonly uploads: Map<string, Unfinished>
  /** The destination of one object. */
  readonly object: (key: string) => Store
}

const mib = 1024 * 1024

const defaultLimits: PartLimits = { minBytes: 5 * mib, maxBytes: 5 * 1024 * mib, maxParts: 10_000 }

const digestsOf = (bytes: Uint8Array, names: ReadonlyArray<Algorithm>): Effect.Effect<Digests> =>
  Effect.map(
    Effect.forEach(names, (name) =>
      Effect.map(
        Effect.promise(() => WasmAlgorithm.make(name)),
        (hash) => {
          hash.init()
          hash.update(bytes)
          return [name, hash.digest()] as const
        }
      )
    ),
    (all) => Object.fromEntries(all)
  )

const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.byteLength
  }
  return whole
}

/** The first algorithm whose digests differ. */
const different = (claimed: Digests, found: Digests): Algorithm | undefined =>
  algorithms.find((name) => claimed[name] !== undefined && found[name] !== undefined && claimed[name] !== found[name])

/**
 * Makes an empty store.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): MemoryStore => {
  const { limits = defaultLimits, partDigests = [], reports = ["sha256"], shape = "whole" } = options
  const objects = new Map<string, Uint8Array>()
  const uploads = new Map<string, Unfinished>()
  let lastId = 0

  const capabilities: Capabilities = {
    shape,
    maxObjectBytes: shape === "whole" ? undefined : limits.maxBytes * limits.maxParts,
    reports,
    rangedRead: true,
    needsSize: false,
    sharedMemory: false,
    ...(shape === "whole" ? undefined : { parts: limits }),
    checks: { whole: shape === "whole" ? [] : reports, part: shape === "whole" ? [] : partDigests },
    conditionalCreate: false,
    serverSideCopy: false,
    unfinished: { list: shape === "parts", abort: shape === "parts", resume: shape === "parts" },
    places: [],
    learnt: { shape: "configured", reports: "configured", parts: "configured", checks: "configured" },
    details: {}
  }

  const open = (key: string): Session => {
    const uri = uriOf(key)
    /** The bytes that this session has put there. */
    let ours: Uint8Array | undefined
    let upload: { readonly id: string; readonly parts: Map<number, Uint8Array> } | undefined

    const fail = (reason: Reason.Reason, message: string, more?: Partial<StoreError.Fields>) =>
      Effect.fail(StoreError.make(reason, { uri, message, ...more }))

    const receive = <E, R>({
      length,
      onSent,
      stream
    }: Body<E, R>): Effect.Effect<Uint8Array, StoreError.StoreError | E, R> =>
      Effect.gen(function* () {
        const chunks: Array<Uint8Array> = []
        yield* Stream.runForEach(stream, (block: Block) =>
          Effect.sync(() => {
            chunks.push(block.copy())
            onSent(block.length)
            block.release()
          })
        )
        const bytes = join(chunks)
        return length === undefined || bytes.byteLength === length
          ? bytes
          : yield* fail("Rejected", `the body has ${bytes.byteLength} bytes, ${length} were announced`)
      })

    const put = (bytes: Uint8Array) =>
      Effect.sync(() => {
        ours = bytes
        objects.set(key, bytes)
      })

    const begin = Effect.gen(function* () {
      if (shape === "whole" || upload !== undefined) return
      const startedAt = yield* Clock.currentTimeMillis
      upload = { id: `upload-${++lastId}`, parts: new Map() }
      uploads.set(upload.id, { key, startedAt, parts: upload.parts })
    })

    const tagOf = (number: number, bytes: Uint8Array) => `${upload!.id}.${number}.${bytes.byteLength}`

    const isOurs = () => ours !== undefined && objects.get(key) === ours

    const forget = Effect.sync(() => {
      if (isOurs()) objects.delete(key)
      if (upload !== undefined) uploads.delete(upload.id)
      ours = upload = undefined
    })

    const left = Effect.sync(() => {
      if (isOurs()) return `object ${uri}`
      return upload !== undefined && uploads.has(upload.id) ? `upload ${upload.id} of ${uri}` : "none"
    })

    const base: SessionBase = {
      wanted: reports,
      begin,
      inspect: Effect.suspend((): Effect.Effect<Inspection> => {
        if (isOurs()) {
          const size = ours!.byteLength
          return Effect.map(digestsOf(ours!, reports), (digests): Inspection => {
            const object: StoredObject = { id: key, size, digests }
            return { _tag: "Stored", object }
          })
        }
        // What was there before is another object.
        const ready = shape === "whole" || (upload !== undefined && uploads.has(upload.id))
        return Effect.succeed({ _tag: ready ? "Ready" : "Absent" })
      }),
      checkPlace: () => Effect.void,
      recreate: Effect.andThen(forget, begin),
      owned: Effect.succeed(true),
      location: Effect.succeed(uri),
      discard: Effect.as(forget, "none"),
      left,
      seal: Effect.void,
      read: Stream.suspend(() => {
        const bytes = objects.get(key)
        return bytes === undefined
          ? Stream.fromEffect(fail("NotFound", "there is no such object"))
          : Stream.succeed(bytes)
      }),
      notes: Effect.succeed([])
    }
    if (shape === "whole") {
      return { ...base, shape, write: (body) => Effect.flatMap(receive(body), put) }
    }
    return {
      ...base,
      shape,
      limits,
      partDigests,
      writePart: (part) =>
        Effect.gen(function* () {
          const bytes = yield* receive(part)
          if (upload === undefined || !uploads.has(upload.id)) return yield* fail("NotFound", "there is no such upload")
          if (bytes.byteLength > limits.maxBytes) {
            const message = `part ${part.number} has ${bytes.byteLength} bytes, at most are ${limits.maxBytes}`
            return yield* fail("TooLarge", message)
          }
          const found = yield* digestsOf(bytes, partDigests)
          const wrong = different(part.digests, found)
          if (wrong !== undefined) {
            const message = `the ${wrong} of part ${part.number} is ${found[wrong]}, announced was ${part.digests[wrong]}`
            return yield* fail("DigestMismatch", message, { retryable: true })
          }
          upload.parts.set(part.number, bytes)
          return tagOf(part.number, bytes)
        }),
      finish: ({ digests, parts, size }) =>
        Effect.gen(function* () {
          if (upload === undefined || !uploads.has(upload.id)) return yield* fail("NotFound", "there is no such upload")
          const { id, parts: taken } = upload
          const chunks: Array<Uint8Array> = []
          for (const [index, { number, tag }] of parts.entries()) {
            const chunk = taken.get(number)
            if (number !== index + 1 || chunk === undefined || tag !== tagOf(number, chunk)) {
              return yield* fail("Rejected", `there is no part ${number} as it was named`)
            }
            if (chunk.byteLength < limits.minBytes && index < parts.length - 1) {
              return yield* fail(
                "Rejected",
                `part ${number} has ${chunk.byteLength} bytes, at least are ${limits.minBytes}`
              )
            }
            chunks.push(chunk)
          }
          const whole = join(chunks)
          if (whole.byteLength !== size) {
            return yield* fail("SizeMismatch", `the parts have ${whole.byteLength} bytes, announced were ${size}`)
          }
          const wrong = different(digests, yield* digestsOf(whole, reports))
          if (wrong !== undefined)
            return yield* fail("DigestMismatch", `the ${wrong} is not the one that was announced`)
          yield* put(whole)
          uploads.delete(id)
        }),
      resumption: {
        token: Effect.sync(() => upload?.id ?? ""),
        resume: (token, _noted, { partBytes }) =>
          Effect.gen(function* () {
            const found = uploads.get(token)
            if (found === undefined || found.key !== key) return undefined
            upload = { id: token, parts: found.parts }
            const there = [...found.parts].sort(([a], [b]) => a - b)
            return yield* Effect.forEach(there, ([number, bytes]) =>
              Effect.map(digestsOf(bytes, partDigests), (digests) => ({
                number,
                offset: (number - 1) * partBytes,
                length: bytes.byteLength,
                tag: tagOf(number, bytes),
                digests
              }))
            )
          })
      }
    }
  }

  const uriOf = (key: string) => `memory:${key}`

  return {
    objects,
    uploads,
    object: (key) => ({
      uri: uriOf(key),
      capabilities: Effect.succeed(capabilities),
      plan: () => Effect.succeed({ action: "create", why: "a store in memory takes everything" }),
      open: () => Effect.sync(() => open(key)),
      ...(shape === "whole"
        ? undefined
        : {
            unfinished: Stream.suspend(() =>
              Stream.fromIterable(
                [...uploads]
                  .filter(([, found]) => found.key === key)
                  .map(([token, { parts, startedAt }]) => ({
                    token,
                    uri: uriOf(key),
                    startedAt,
                    bytes: [...parts.values()].reduce((sum, part) => sum + part.byteLength, 0)
                  }))
              )
            ),
            abort: (token: string) => Effect.sync(() => void uploads.delete(token))
          })
    })
  }
}
