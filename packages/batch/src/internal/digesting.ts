/**
 * The digests of a source, read for their sake alone.
 */
import * as Bandwidth from "@headrace/core/Bandwidth"
import { BlockPool, BlockShare } from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as Digest from "@headrace/core/Digest"
import type { DigestError } from "@headrace/core/DigestError"
import type { Host } from "@headrace/core/Host"
import * as Progress from "@headrace/core/Progress"
import type { Source } from "@headrace/core/Source"
import type { SourceError } from "@headrace/core/SourceError"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"

/** Blocks that a reader is owed. */
const minimumBlocks = 4

/** Reads the whole of it, in the pace that is allowed, and keeps nothing. */
export const digestsOf = (
  source: Source<Transport | Host>,
  algorithms: ReadonlyArray<Digest.Algorithm>
): Effect.Effect<
  { readonly size: number; readonly digests: Digest.Digests },
  SourceError | DigestError,
  Transport | Host | BlockPool
> =>
  Effect.scoped(
    Effect.gen(function* () {
      const share = yield* (yield* BlockPool).share(minimumBlocks)
      const limit = yield* Bandwidth.Root
      let digests: Digest.Digests = {}
      let size = 0
      yield* source.open(0).pipe(
        Progress.tap((bytes) => {
          size += bytes
        }),
        Digest.tap(algorithms, (all) =>
          Effect.sync(() => {
            digests = all
          })
        ),
        Bandwidth.shape(limit),
        Blocks.runRelease,
        Effect.provideService(BlockShare, share)
      )
      return { size, digests }
    })
  )
