/**
 * A file as parts: each is written at its place in the partial file, and taken when it is on the disk. So another process
 * can go on after this one was killed, and also after a power cut.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { basename } from "node:path"
import type { PartBody, PartLimits, PartsSession, Resumption } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { calling } from "./fault.ts"
import * as Partial from "./partial.ts"
import * as Placing from "./placing.ts"
import type { File, Writing } from "./file.ts"
import * as Writer from "./writer.ts"

const mib = 1024 * 1024

/**
 * Large enough that a sync for each costs nothing that can be measured, and that on a pool of 64 MiB a part is written
 * while it is read, not collected before.
 */
const preferredBytes = 64 * mib

/** How a file is cut. While one part is being synced, the next is written. */
export const limits = (partBytes = preferredBytes): PartLimits & { readonly preferredBytes: number } => ({
  minBytes: 1,
  maxBytes: 1024 * 1024 * mib,
  maxParts: 10_000,
  preferredBytes: partBytes,
  inFlight: 2
})

/** What a part is called that is on the disk, and one that is only written: then the end of the upload syncs it. */
const synced = "synced"
const written = "written"

export const make = (file: File, limits: PartLimits): Omit<PartsSession, keyof File["base"]> => {
  const { content, state, uri } = file
  const sparse = content.sparse === true
  const syncing = Semaphore.makeUnsafe(1)

  const secure = (writing: Writing, answerMs: number) =>
    Effect.suspend(() =>
      // What has failed to reach the disk may have been of any part, and is told once only.
      state.lost === undefined
        ? file.watching(writing)(Placing.secure(uri, writing, answerMs))
        : Effect.fail(state.lost)
    )

  const writePart = <E, R>(part: PartBody<E, R>): Effect.Effect<string, StoreError.StoreError | E, R> =>
    Effect.gen(function* () {
      const writing = yield* file.writing
      const { taken, touched } = writing
      const { length, number, offset } = part
      const fresh = touched !== "all" && !touched.has(number)
      if (touched !== "all") touched.add(number)
      taken.delete(number)
      yield* Writer.write({ uri, handle: writing.handle, sparse, from: offset, fresh }, part)
      // The file is synced after its last part anyway; one of a part and a bit need not be so twice.
      const tag = offset + length === content.size ? written : synced
      // One at a time: each brings all that was written to the disk.
      if (tag === synced) yield* Semaphore.withPermit(syncing, secure(writing, part.answerMs))
      taken.set(number, { offset, length, tag })
      return tag
    })

  const finish: PartsSession["finish"] = ({ answerMs, parts, size }) =>
    Effect.gen(function* () {
      const writing = yield* file.writing
      let at = 0
      for (const { length, number, offset, tag } of parts) {
        const found = writing.taken.get(number)
        if (offset !== at || found?.offset !== offset || found.length !== length || found.tag !== tag) {
          return yield* StoreError.make("Rejected", { uri, message: `there is no part ${number} as it was named` })
        }
        at += length
      }
      if (at !== size) {
        const message = `the parts have ${at} bytes, announced were ${size}`
        return yield* StoreError.make("SizeMismatch", { uri, message })
      }
      yield* file.finish(writing, size, answerMs)
    })

  const resume: Resumption["resume"] = (token, noted, { partBytes, size }) =>
    Effect.gen(function* () {
      const target = yield* file.find
      // Nobody can interrupt between the opening of the file and the knowing of it.
      const writing = yield* Effect.uninterruptible(
        Effect.map(
          calling(uri, "the partial file of an earlier upload cannot be opened", () => Partial.reopen(target, token)),
          (part) => (part === undefined ? undefined : file.adopt(part, target))
        )
      )
      if (writing === undefined) return undefined
      const { size: there } = writing.made
      // Somebody has written to it who is not of this upload.
      if (size !== undefined && there > BigInt(size)) {
        yield* file.forget
        return undefined
      }
      yield* file.reserve(writing)
      const parts = noted.filter(
        ({ length, number, offset, tag }) =>
          tag === synced && offset === (number - 1) * partBytes && BigInt(offset + length) <= there
      )
      for (const { length, number, offset, tag } of parts) writing.taken.set(number, { offset, length, tag })
      return parts
    })

  return {
    shape: "parts",
    limits,
    partDigests: [],
    writePart,
    finish,
    resumption: {
      token: Effect.sync(() => {
        const { writing } = state
        return writing === undefined ? "" : Partial.tokenOf(basename(writing.path), writing.made)
      }),
      resume
    }
  }
}
