/**
 * What stands of an upload in parts: the parts that the store has taken, and a state of the hashers. The next attempt
 * sends only the rest, and so does another process when a journal keeps it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Digest from "../Digest.ts"
import type { Info } from "../Source.ts"
import type { Left, PartsSession, StoredPart } from "../Store.ts"
import * as StoreError from "../StoreError.ts"
import * as Journal from "../UploadJournal.ts"

export class Standing {
  readonly #uri: string
  readonly #entry: Journal.Entry | undefined
  readonly #parts = new Map<number, StoredPart>()
  #partBytes: number | undefined
  #state: Digest.State | undefined
  #broken: string | undefined

  /** `uri` is the destination's. */
  constructor(uri: string, entry?: Journal.Entry) {
    this.#uri = uri
    this.#entry = entry
  }

  /** What a person should know: that nothing is noted any more, and why. */
  get notes(): ReadonlyArray<string> {
    return this.#broken === undefined ? [] : [`what was sent since could not be gone on with: ${this.#broken}`]
  }

  /** Bytes of each part, once there is one. */
  get partBytes(): number | undefined {
    return this.#partBytes
  }

  get parts(): ReadonlyArray<StoredPart> {
    return [...this.#parts.values()]
  }

  /** The state to go on from. It stands at the end of a part. */
  get state(): Digest.State | undefined {
    return this.#state
  }

  /** What an earlier process has noted, where there is something to go on with. */
  get earlier(): (Journal.Noted & { readonly token: string }) | undefined {
    const earlier = this.#entry?.earlier
    return earlier?.token === undefined ? undefined : { ...earlier, token: earlier.token }
  }

  /** An upload was begun: parts of another one are no parts of it. One without a name cannot be gone on with. */
  begun(token: string | undefined): Effect.Effect<unknown, StoreError.StoreError> {
    return Effect.suspend(() => {
      this.#parts.clear()
      this.#partBytes = this.#state = undefined
      return strict(this.#uri, token === undefined ? undefined : this.#entry?.begun({ token, earlier: undefined }))
    })
  }

  /** An earlier upload is gone on with, of which these parts are there. */
  resumed(earlier: Journal.Noted & { readonly token: string }, parts: ReadonlyArray<StoredPart>) {
    return Effect.suspend(() => {
      this.#parts.clear()
      for (const part of parts) this.#parts.set(part.number, part)
      this.#partBytes = earlier.partBytes
      // Without a part that stands there is nothing which need not be read.
      this.#state = parts.length === 0 ? undefined : earlier.state
      return strict(
        this.#uri,
        this.#entry?.begun({ token: earlier.token, earlier: { ...earlier, parts, state: this.#state } })
      )
    })
  }

  /** The object is cut into parts of so many bytes. Parts of another size are no parts of it. */
  cut(partBytes: number): Effect.Effect<unknown, StoreError.StoreError> {
    return Effect.suspend(() => {
      if (this.#partBytes === partBytes) return Effect.void
      this.#parts.clear()
      this.#partBytes = partBytes
      this.#state = undefined
      return strict(this.#uri, this.#entry?.cut(partBytes))
    })
  }

  taken(part: StoredPart): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#parts.set(part.number, part)
      if (this.#entry === undefined || this.#broken !== undefined) return Effect.void
      // What cannot be noted is sent again if need be; it is no reason to give up what goes well.
      return Effect.catch(this.#entry.taken(part, this.#state), (error) =>
        Effect.sync(() => {
          this.#broken = error.message
        })
      )
    })
  }

  saved(state: Digest.State): void {
    this.#state = state
  }

  /** Forgets parts that are of no use. */
  keep(useful: (part: StoredPart) => boolean): void {
    for (const part of this.#parts.values()) if (!useful(part)) this.#parts.delete(part.number)
  }

  has(number: number): boolean {
    return this.#parts.has(number)
  }

  /** The saved state is of no use. */
  dropState(): void {
    this.#state = undefined
  }

  /** The upload has ended, and this is left of it. What is left of an upload can be gone on with. */
  ended(left: Left): Effect.Effect<void> {
    if (this.#entry === undefined || /^(upload|partial file|unknown) /.test(left)) return Effect.void
    // A note too many is found to be of nothing when somebody wants to go on with it.
    return Effect.ignore(this.#entry.done)
  }
}

/** What cannot be noted before it is done is not done. */
const strict = <A, R>(
  uri: string,
  noted: Effect.Effect<A, Journal.UploadJournalError, R> | undefined
): Effect.Effect<A | undefined, StoreError.StoreError, R> =>
  noted === undefined
    ? Effect.undefined
    : Effect.mapError(noted, ({ cause, message }) => StoreError.make("InvalidConfig", { uri, message, cause }))

/** What stands of an upload into this session: nothing but what a journal has of an earlier one. */
export const open = (options: {
  readonly session: PartsSession
  readonly source: string
  readonly destination: string
  readonly info: Info
  readonly size: number | undefined
  readonly replayable: boolean
  readonly resume: boolean
}): Effect.Effect<Standing, StoreError.StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { destination, info, replayable, resume, session, size, source } = options
    const journal = session.resumption === undefined ? undefined : yield* Journal.UploadJournal
    const key: Journal.Key = { source, destination, identity: info.identity, size }
    const fresh = !resume || !replayable || info.identity === undefined || size === undefined
    return new Standing(
      destination,
      yield* strict<Journal.Entry, Scope.Scope>(destination, journal?.open(key, { fresh }))
    )
  })
