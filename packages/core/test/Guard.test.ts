import { assert, it } from "@effect/vitest"
import type { Block } from "@headrace/core/Block"
import { type BlockShare, makeUnsafe } from "@headrace/core/BlockPool"
import * as Guard from "@headrace/core/Guard"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const block = (share: BlockShare["Service"], length: number): Effect.Effect<Block> =>
  Effect.map(share.take, (taken) => taken.setLength(length))

/** What passes `holdLast` of blocks of these lengths, before the given end. */
const passed = (lengths: ReadonlyArray<number>, end: Stream.Stream<never, "bad">) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pool = makeUnsafe({ bytes: 8 * 1024, blockBytes: 1024 })
      const share = yield* pool.share(4)
      const out: Array<number> = []
      yield* Stream.fromIterable(lengths).pipe(
        Stream.mapEffect((length) => block(share, length)),
        Stream.concat(end),
        Guard.holdLast,
        Stream.runForEach((one) =>
          Effect.sync(() => {
            out.push(one.length)
            one.release()
          })
        ),
        Effect.ignore
      )
      assert.strictEqual(share.inUse(), 0)
      return out
    })
  )

it.effect("holdLast passes the last block only at a good end", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* passed([3, 2, 1], Stream.empty), [3, 2, 1])
    assert.deepStrictEqual(yield* passed([3, 2, 1], Stream.fail("bad")), [3, 2])
    assert.deepStrictEqual(yield* passed([], Stream.empty), [])
  })
)

it.effect("holdLast is not led astray by blocks without bytes", () =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* passed([3, 1, 0, 0], Stream.fail("bad")), [3])
    assert.deepStrictEqual(yield* passed([0, 3, 0, 1, 0], Stream.empty), [3, 1])
    assert.deepStrictEqual(yield* passed([0], Stream.empty), [])
  })
)
