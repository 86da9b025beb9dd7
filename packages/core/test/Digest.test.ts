import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import type { Block } from "@headrace/core/Block"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Digest from "@headrace/core/Digest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** Blocks with the given texts. */
const blocks = (share: BlockPool.BlockShare["Service"], texts: ReadonlyArray<string>) =>
  Stream.mapEffect(Stream.fromIterable(texts), (text) =>
    Effect.map(share.take, (block) => block.setLength(new TextEncoder().encodeInto(text, block.space).written))
  )

const md5 = (text: string) => createHash("md5").update(text).digest("hex")

const withShare = <A, E>(use: (share: BlockPool.BlockShare["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(BlockPool.makeUnsafe({ bytes: 1024 * 1024, blockBytes: 1024 }).share(2), use))

describe("tap", () => {
  it.effect("tells the digests of what passed, before the end is passed on, and keeps no block", () =>
    withShare((share) =>
      Effect.gen(function* () {
        const order: Array<string> = []
        yield* blocks(share, ["one ", "two ", "three"]).pipe(
          Digest.tap(["md5", "crc32c"], (digests) =>
            Effect.sync(() => {
              assert.deepStrictEqual(Object.keys(digests), ["md5", "crc32c"])
              order.push(digests.md5!)
            })
          ),
          Stream.runForEach((block) =>
            Effect.sync(() => {
              order.push(new TextDecoder().decode(block.copy()))
              block.release()
            })
          )
        )
        assert.deepStrictEqual(order, ["one ", "two ", "three", md5("one two three")])
        assert.strictEqual(share.inUse(), 0)
      })
    )
  )

  it.effect("computes anew each time the stream runs", () =>
    withShare((share) =>
      Effect.gen(function* () {
        const seen: Array<string | undefined> = []
        const stream = Digest.tap(["md5"], (digests) => Effect.sync(() => seen.push(digests.md5)))(
          blocks(share, ["same"])
        )
        const run = Stream.runForEach(stream, (block) => Effect.sync(() => block.release()))
        yield* run
        yield* run
        assert.deepStrictEqual(seen, [md5("same"), md5("same")])
      })
    )
  )

  it.effect("a failure at the end is the stream's, and a stream that fails has no digests", () =>
    withShare((share) =>
      Effect.gen(function* () {
        let calls = 0
        const drain = <E>(stream: Stream.Stream<Block, E>) =>
          Effect.flip(Stream.runForEach(stream, (block) => Effect.sync(() => block.release())))
        assert.strictEqual(
          yield* drain(blocks(share, ["a"]).pipe(Digest.tap(["md5"], () => Effect.fail("unequal" as const)))),
          "unequal"
        )
        const broken = Stream.concat(blocks(share, ["a"]), Stream.fail("torn" as const))
        assert.strictEqual(yield* drain(broken.pipe(Digest.tap(["md5"], () => Effect.sync(() => calls++)))), "torn")
        assert.strictEqual(calls, 0)
      })
    )
  )

  it.effect("runs with the hasher of the environment", () =>
    withShare((share) =>
      Effect.gen(function* () {
        const mute: Digest.HasherService = {
          provider: "mute",
          resumable: false,
          start: () => Effect.fail(new Digest.DigestError({ message: "does not start" }))
        }
        const error = yield* blocks(share, ["a"]).pipe(
          Digest.tap(["md5"], () => Effect.void),
          Stream.runDrain,
          Effect.provideService(Digest.Hasher, mute),
          Effect.flip
        )
        assert.strictEqual(error.message, "does not start")
      })
    )
  )
})

describe("tapWith", () => {
  it.effect("goes on where a state was saved", () =>
    withShare((share) =>
      Effect.scoped(
        Effect.gen(function* () {
          const hasher = yield* Digest.Hasher
          const first = yield* hasher.start(["md5"])
          const drain = Stream.runForEach((block: Block) => Effect.sync(() => block.release()))
          yield* blocks(share, ["one "]).pipe(
            Digest.tapWith(first, () => Effect.void),
            Stream.take(1),
            drain
          )
          const second = yield* hasher.start(["md5"], yield* first.save)
          let digest: string | undefined
          yield* blocks(share, ["two"]).pipe(
            Digest.tapWith(second, (digests) => Effect.sync(() => (digest = digests.md5))),
            drain
          )
          assert.strictEqual(digest, md5("one two"))
          assert.strictEqual(second.hashed(), 7)
        })
      )
    )
  )
})

it("knows its algorithms by name", () => {
  assert.isTrue(Digest.isAlgorithm("sha512"))
  assert.isFalse(Digest.isAlgorithm("SHA512"))
  assert.isFalse(Digest.isAlgorithm("toString"))
})
