/**
 * The two verifications that read again: the source, and the destination.
 */
import * as Effect from "effect/Effect"
import * as BlockPool from "../BlockPool.ts"
import * as Blocks from "../Blocks.ts"
import * as Digest from "../Digest.ts"
import * as Progress from "../Progress.ts"
import type { Info, Source } from "../Source.ts"
import * as SourceError from "../SourceError.ts"
import type { Session } from "../Store.ts"
import * as StoreError from "../StoreError.ts"
import { unchanged } from "./checked.ts"
import { minimumBlocks } from "./reading.ts"

interface Read {
  readonly size: number
  readonly digests: Digest.Digests
}

const different = (a: Digest.Digests, b: Digest.Digests) =>
  Digest.algorithms.find((name) => a[name] !== undefined && b[name] !== undefined && a[name] !== b[name])

const algorithmsOf = (content: Read) => Digest.algorithms.filter((name) => content.digests[name] !== undefined)

/** Reads the source again and compares it with what was sent. */
export const source = <R>(
  self: Source<R>,
  info: Info,
  content: Read
): Effect.Effect<void, SourceError.SourceError | Digest.DigestError, R | BlockPool.BlockPool> =>
  Effect.gen(function* () {
    const pool = yield* BlockPool.BlockPool
    const share = yield* pool.share(minimumBlocks)
    let digests: Digest.Digests = {}
    yield* unchanged(self, info)
    yield* Blocks.runRelease(
      self.open(0).pipe(
        Digest.tap(algorithmsOf(content), (all) => {
          digests = all
          return Effect.void
        })
      )
    ).pipe(Effect.provideService(BlockPool.BlockShare, share))
    const wrong = different(content.digests, digests)
    if (wrong !== undefined) {
      return yield* SourceError.make("SourceChanged", {
        uri: self.uri,
        message: `read again, the source's ${wrong} is ${digests[wrong]}; ${content.digests[wrong]} was sent`
      })
    }
  }).pipe(Effect.scoped) as Effect.Effect<void, SourceError.SourceError | Digest.DigestError, R | BlockPool.BlockPool>

/** Reads the object back and compares it with what was sent; gives the algorithms that were equal. */
export const destination = (
  session: Session,
  content: Read,
  uri: string
): Effect.Effect<ReadonlyArray<Digest.Algorithm>, StoreError.StoreError | Digest.DigestError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const algorithms = algorithmsOf(content)
      // A pool of its own: what comes back must not wait for the blocks of what is still being sent.
      const pool = BlockPool.makeUnsafe({ bytes: 4 * BlockPool.blockBytes })
      const share = yield* pool.share(4)
      let digests: Digest.Digests = {}
      let size = 0
      yield* Blocks.runRelease(
        Blocks.fromBytes(session.read).pipe(
          Digest.tap(algorithms, (all) => {
            digests = all
            return Effect.void
          }),
          Progress.tap((bytes) => {
            size += bytes
          })
        )
      ).pipe(Effect.provideService(BlockPool.BlockShare, share))
      if (size !== content.size) {
        return yield* StoreError.make("SizeMismatch", {
          uri,
          message: `${content.size} bytes were sent, ${size} were read back`
        })
      }
      const wrong = different(content.digests, digests)
      if (wrong !== undefined) {
        return yield* StoreError.make("DigestMismatch", {
          uri,
          message: `read back, the ${wrong} is ${digests[wrong]}; ${content.digests[wrong]} was sent`
        })
      }
      return algorithms
    })
  )
