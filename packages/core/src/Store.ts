/**
 * A store is where bytes go: a thin adapter that knows how a service is talked to and says what it can do. The engine
 * (`Transfer`) owns retries, length checks, digests, progress and clean-up.
 *
 * A store opens a `Session` for one object. What a session promises is written at its members; the engine relies on
 * nothing else.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import type { Copy, Copying } from "./Copies.ts"
import type { Algorithm, Digests } from "./Digest.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * What a store can do, as data. What is absent is not known.
 *
 * @since 0.1.0
 * @category models
 */
export interface Capabilities {
  /** How an object is written: as one ordered body, or as numbered parts. */
  readonly shape: "whole" | "parts"
  /** Largest object in bytes, where the store says so. */
  readonly maxObjectBytes: number | undefined
  /** Digests that the store reports of what it holds. */
  readonly reports: ReadonlyArray<Algorithm>
  /** Whether an object can be read from an offset; `undefined`: not known before it is tried. */
  readonly rangedRead: boolean | undefined
  /** Whether the store needs the size before the first byte. */
  readonly needsSize: boolean
  /**
   * Whether the adapter takes `block.bytes`, which may be on shared memory. One that hands bytes to what refuses such
   * memory, or misreads it as `fetch` does, takes `block.copy()`, and says false.
   */
  readonly sharedMemory: boolean
  /** How objects are cut, where the shape is `parts`. */
  readonly parts?: PartLimits
  /** Digests that the store can be told beforehand, and refuses other bytes for: of a whole object, of one part. */
  readonly checks?: { readonly whole: ReadonlyArray<Algorithm>; readonly part: ReadonlyArray<Algorithm> }
  /** Whether the store can be told to make only what is not there yet. */
  readonly conditionalCreate?: boolean
  /** Whether it can copy what it has by itself. */
  readonly serverSideCopy?: boolean
  /** What can be done about uploads that were begun and not finished: by listing them, or by their token. */
  readonly unfinished?: { readonly list: boolean; readonly abort: boolean; readonly resume: boolean }
  /** Whether it answers `Expect: 100-continue` (RFC 9110 §10.1.1) with 100, where it takes bodies by HTTP. */
  readonly continues?: boolean
  /** Names of places within the store that an object can be put into. */
  readonly places: ReadonlyArray<{ readonly id: string; readonly default: boolean; readonly readOnly: boolean }>
  /** How each of these was learnt: `profile` is what is known of a vendor's services. */
  readonly learnt: Readonly<Record<string, "configured" | "probed" | "profile" | "assumed">>
  /** More about the store, for people: versions, quotas. */
  readonly details: Readonly<Record<string, string>>
}

/**
 * What is known of the bytes before they are sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Content {
  /** Bytes, if known. */
  readonly size: number | undefined
  /** The first bytes, in plain memory: up to 64 KiB, all of them when the content is smaller. */
  readonly head: Uint8Array
  /** A format that the source claims, for stores that want one. */
  readonly diskFormat?: string
  readonly containerFormat?: string
  /** Whether the source has holes, so that less room than `size` may do, for stores that can leave zeros out. */
  readonly sparse?: boolean
  /**
   * Digests of the whole, in lower-case hex: those that the transfer expects, else those that the source's own service
   * reports. They are claims, for stores that want a digest before the first byte: a body that a session writes is
   * compared with those that it names in `wanted` before its last block is sent.
   */
  readonly digests?: Digests
}

/**
 * An object as the store describes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoredObject {
  readonly id: string
  /** The place within the store where it landed, where stores have places. */
  readonly store?: string
  readonly size: number | undefined
  /** The digests that the store reports; none when it reports none. */
  readonly digests: Digests
  /**
   * Of an object in parts: the store's own digest over the digests of all parts, of this algorithm, is the one that ours
   * give. So each part is what was sent, and the whole is, though the store has no digest of it.
   */
  readonly composite?: Algorithm
}

/**
 * What a session found when it looked at its object.
 *
 * - `Absent`: there is none.
 * - `Ready`: it exists, holds nothing and takes a body.
 * - `Busy`: an earlier body may still be on its way in; it can end by itself. `restMs`: within so many milliseconds, when
 *   nobody sends it any more.
 * - `Spoiled`: it takes no body any more; only deleting it helps.
 * - `Stored`: it holds bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type Inspection =
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Busy"; readonly what: string; readonly restMs?: number }
  | { readonly _tag: "Spoiled"; readonly why: string }
  | { readonly _tag: "Stored"; readonly object: StoredObject }

/**
 * What is at the destination now, in the words of the receipt's `left`: `none`, `queued image ID`, …
 *
 * @since 0.1.0
 * @category models
 */
export type Left = string

/**
 * The body of an object on its way into a session.
 *
 * @since 0.1.0
 * @category models
 */
export interface Body<out E, out R> {
  readonly stream: Stream.Stream<Block, E, R>
  readonly length: number | undefined
  /** To be called with the number of bytes whenever some were handed to the socket. */
  readonly onSent: (bytes: number) => void
  /** Milliseconds without a byte moving, after which the write fails with `Stalled`. */
  readonly stallMs: number
  /** Milliseconds that the answer may take after the last byte. */
  readonly answerMs: number
  /**
   * The digests of the whole, as far as they are computed: those of the session's `wanted` are. `undefined` before the
   * stream has ended well. Absent where a body is not the whole.
   */
  readonly finalDigests?: Effect.Effect<Digests | undefined>
}

/**
 * What every session can do, whatever the shape in which its object is written.
 *
 * @since 0.1.0
 * @category models
 */
export interface SessionBase {
  /** The digests that the result can be checked against, best first; all of them are worth computing. */
  readonly wanted: ReadonlyArray<Algorithm>
  /**
   * Makes the object, or checks the given one, so that it can be written. It may be repeated after a retryable error
   * without making a second object.
   */
  readonly begin: Effect.Effect<void, StoreError>
  /** Looks at the object. */
  readonly inspect: Effect.Effect<Inspection, StoreError>
  /** Checks that a stored object is where it was asked to be; fails with `StoreIgnored` when it is not. */
  readonly checkPlace: (object: StoredObject) => Effect.Effect<void, StoreError>
  /** Deletes what this session made and begins anew. Fails when the object was given and is not ours to delete. */
  readonly recreate: Effect.Effect<void, StoreError>
  /** Whether the object was made by this session, which may therefore delete it. */
  readonly owned: Effect.Effect<boolean>
  /** The object's URI as far as it is known, without asking: where to look when the store cannot say what is left. */
  readonly location: Effect.Effect<string>
  /** Deletes what this session made, and says what is left. An object that was given is left. */
  readonly discard: Effect.Effect<Left>
  /** What exists now, as far as it can be asked. Deletes nothing. */
  readonly left: Effect.Effect<Left>
  /** Last words after the object is proven: flags that must not be set earlier. */
  readonly seal: Effect.Effect<void, StoreError>
  /** The object's bytes, read back. */
  readonly read: Stream.Stream<Uint8Array, StoreError>
  /** Things worth telling a person, such as a format that was guessed. */
  readonly notes: Effect.Effect<ReadonlyArray<string>>
  /** How the service is made to copy the object by itself; there where the store has `copies`. */
  readonly copying?: Copying
}

/**
 * One object being written as one ordered body.
 *
 * @since 0.1.0
 * @category models
 */
export interface WholeSession extends SessionBase {
  readonly shape: "whole"
  /** Sends the body. Succeeds only when the store has said that it took it. */
  readonly write: <E, R>(body: Body<E, R>) => Effect.Effect<void, StoreError | E, R>
}

/**
 * How an object is cut into parts. All parts but the last have the same size.
 *
 * @since 0.1.0
 * @category models
 */
export interface PartLimits {
  /** Bytes that a part must have, unless it is the last. */
  readonly minBytes: number
  /** Bytes that a part may have. */
  readonly maxBytes: number
  /** Parts that an object may have. */
  readonly maxParts: number
  /** Bytes that a part should have where the object's size allows it; 8 MiB unless said. */
  readonly preferredBytes?: number
  /** Parts that may be on their way at once, 6 unless said. With 1 they come in the order of the object. */
  readonly inFlight?: number
}

/**
 * One part on its way into a session.
 *
 * @since 0.1.0
 * @category models
 */
export interface PartBody<out E, out R> extends Body<E, R> {
  /** From 1, in the order of the object. */
  readonly number: number
  /** Where it begins in the object, in bytes. */
  readonly offset: number
  readonly length: number
  /** Whether the stream can be run again and gives the same bytes, as of a part that is in memory (false). */
  readonly replayable?: boolean
  /** The part's own digests: those that the session asked for with `partDigests`. */
  readonly digests: Digests
}

/**
 * A part that the store has taken.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoredPart {
  readonly number: number
  readonly offset: number
  readonly length: number
  /** What the store calls it: an ETag. */
  readonly tag: string
  readonly digests: Digests
}

/**
 * How an upload of parts is gone on with by a later session, of the same process or of another one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Resumption {
  /** What a later session needs, such as an upload id. Known once `begin` has ended; holds no secret. */
  readonly token: Effect.Effect<string>
  /**
   * Takes an earlier upload up, instead of `begin`. Told the parts that an earlier process has noted, which may be fewer
   * than there are and more; gives those that are there, as far as each is the same. Nothing where the upload is no
   * more.
   */
  readonly resume: (
    token: string,
    noted: ReadonlyArray<StoredPart>,
    /** How it was cut. */
    cut: { readonly partBytes: number; readonly size: number | undefined }
  ) => Effect.Effect<ReadonlyArray<StoredPart> | undefined, StoreError>
}

/**
 * An upload that was begun, and neither finished nor given up.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnfinishedUpload {
  readonly token: string
  /** Of the object that it would have made, as users type it. */
  readonly uri: string
  /** Milliseconds since 1970, where the store says so. */
  readonly startedAt: number | undefined
  /** Bytes that are there, where that is known without asking for each part. */
  readonly bytes: number | undefined
}

/**
 * One object being written as numbered parts, several at once and in any order. The object does not exist before
 * `finish`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PartsSession extends SessionBase {
  readonly shape: "parts"
  readonly limits: PartLimits
  /** Digests of each part that must be known before it is sent. */
  readonly partDigests: ReadonlyArray<Algorithm>
  /**
   * Sends one part, and gives what the store calls it. A part that is sent again takes the place of what was there.
   */
  readonly writePart: <E, R>(part: PartBody<E, R>) => Effect.Effect<string, StoreError | E, R>
  /**
   * Makes the object of its parts, given in order, with the digests of the whole. It may be repeated when its answer
   * was lost. Nothing is made when it is never called.
   */
  readonly finish: (object: {
    readonly parts: ReadonlyArray<StoredPart>
    readonly size: number
    readonly digests: Digests
    readonly answerMs: number
  }) => Effect.Effect<void, StoreError>
  /** Absent where an upload ends with its session. */
  readonly resumption?: Resumption
}

/**
 * One object being written.
 *
 * @since 0.1.0
 * @category models
 */
export type Session = WholeSession | PartsSession

/**
 * What an upload would do to a destination.
 *
 * @since 0.1.0
 * @category models
 */
export interface Plan {
  readonly action: "create" | "use" | "skip" | "fail"
  readonly why: string
}

/**
 * A store. `R` is what it needs, `S` the shape of its sessions where that is known.
 *
 * @since 0.1.0
 * @category models
 */
export interface Store<out R = never, out S extends Session = Session> {
  /** As users type it, without secrets. */
  readonly uri: string
  /** Asks the store what it can do. */
  readonly capabilities: Effect.Effect<Capabilities, StoreError, R | Scope.Scope>
  /** Signs in and looks at every precondition; makes nothing. */
  readonly plan: (content: Content) => Effect.Effect<Plan, StoreError, R | Scope.Scope>
  /** Opens a session for one object. Signs in; makes nothing yet. The scope closes the session's connections. */
  readonly open: (content: Content) => Effect.Effect<S, StoreError, R | Scope.Scope>
  /**
   * Further places of the same service, which copies the object there by itself once it is proven. Each has a verdict of
   * its own, and is required where the destination is.
   */
  readonly copies?: ReadonlyArray<Copy<R>>
  /** Uploads that are not finished, whoever began them, of this object or, for a whole container, of all. */
  readonly unfinished?: Stream.Stream<UnfinishedUpload, StoreError, R>
  /**
   * Gives an unfinished upload up, with what is there of it. Succeeds also when there is none. `uri` is the object's, for
   * the store that is a whole container.
   */
  readonly abort?: (token: string, uri?: string) => Effect.Effect<void, StoreError, R | Scope.Scope>
}
