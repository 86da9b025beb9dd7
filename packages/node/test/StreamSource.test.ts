import { assert, describe, it } from "@effect/vitest"
import * as StreamSource from "@headrace/node/StreamSource"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Readable } from "node:stream"
import { ReadableStream } from "node:stream/web"
import { runInNewContext } from "node:vm"
import { pattern, read } from "./support/reading.ts"

const bytes = pattern(2_500_000)

const pieces = (from = 0) => {
  const all: Array<Uint8Array> = []
  for (let at = from; at < bytes.byteLength; at += 77_777) all.push(bytes.subarray(at, at + 77_777))
  return all
}

async function* generate(from = 0) {
  for (const piece of pieces(from)) {
    yield piece
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const kinds: Record<string, (from?: number) => StreamSource.Once> = {
  "a Uint8Array": (from = 0) => bytes.subarray(from),
  "a Readable": (from) => Readable.from(generate(from)),
  "a Readable of bytes": (from) => Readable.from(generate(from), { objectMode: false }),
  "a web stream": (from) => ReadableStream.from(generate(from)),
  "the body of a Response": (from = 0) => new Response(bytes.slice(from)).body!,
  "a Blob's stream": (from = 0) => new Blob([bytes.slice(from)]).stream(),
  "an array": (from) => pieces(from),
  "an async generator": (from) => generate(from)
}

for (const [what, make] of Object.entries(kinds)) {
  describe(what, () => {
    it.live("is read whole", () =>
      Effect.gen(function* () {
        const source = StreamSource.make(make())
        const got = yield* read(source)
        assert.strictEqual(got.error, undefined)
        assert.isTrue(Buffer.from(got.bytes).equals(bytes))
        assert.strictEqual(got.inUse, 0)
        assert.strictEqual(source.replayable, what === "a Uint8Array")
      })
    )

    it.live("can be read again, from any offset, when a function makes it", () =>
      Effect.gen(function* () {
        const source = StreamSource.make((offset) => make(offset), { size: bytes.byteLength, uri: "mine" })
        assert.isTrue(source.replayable)
        assert.strictEqual(source.uri, "mine")
        assert.strictEqual((yield* source.info).size, bytes.byteLength)
        for (const offset of [0, 0, 1_234_567]) {
          const got = yield* read(source, offset)
          assert.isTrue(Buffer.from(got.bytes).equals(bytes.subarray(offset)))
        }
      })
    )

    if (what !== "a Uint8Array") {
      it.live("is an error when it is read twice, and not empty", () =>
        Effect.gen(function* () {
          const once = make()
          const source = StreamSource.make(once)
          yield* read(source)
          const got = yield* read(source)
          assert.match(got.error?.message ?? "", /has been read already/)
          assert.isFalse(got.error?.retryable)
          // Nor when it comes by another way; an array is not used up.
          if (Array.isArray(once)) return
          const again = yield* read(StreamSource.make(() => once))
          assert.match(again.error?.message ?? "", /has been read already|is locked/)
          assert.isFalse(again.error?.retryable && /read already/.test(again.error.message))
        })
      )
    }
  })
}

const detached = () => {
  const gone = bytes.slice()
  structuredClone(gone.buffer, { transfer: [gone.buffer] })
  return gone
}

describe("a source of a program", () => {
  it.live("is not empty when its memory is gone", () =>
    Effect.gen(function* () {
      for (const input of [detached(), () => detached()]) {
        assert.match((yield* read(StreamSource.make(input))).error?.message ?? "", /memory of the bytes is gone/)
      }
    })
  )

  it.live("may be of another realm", () =>
    Effect.gen(function* () {
      const make = (code: string) => StreamSource.make(runInNewContext(code) as StreamSource.Once)
      for (const code of ["new Uint8Array([1, 2, 3])", "[new Uint8Array([1]), new Uint8Array([2, 3])]"]) {
        assert.deepStrictEqual([...(yield* read(make(code))).bytes], [1, 2, 3])
      }
    })
  )

  it.live("may give any number of objects without bytes", () =>
    Effect.gen(function* () {
      let left = 30_000
      const readable = new Readable({
        objectMode: true,
        read() {
          this.push(left-- > 0 ? Buffer.alloc(0) : left === -1 ? Buffer.from("x") : null)
        }
      })
      assert.strictEqual((yield* read(StreamSource.make(readable))).bytes.byteLength, 1)
    })
  )

  it.live("fails when its iterator gives no result", () =>
    Effect.gen(function* () {
      const next = () => undefined
      for (const input of [
        { [Symbol.iterator]: () => ({ next }) },
        { [Symbol.asyncIterator]: () => ({ next: async () => next() }) }
      ]) {
        const got = yield* read(StreamSource.make(input as unknown as StreamSource.Once))
        assert.match(got.error?.message ?? "", /its iterator gave no result/)
      }
    })
  )

  it.live("may give its stream later, and fail in doing so", () =>
    Effect.gen(function* () {
      const later = StreamSource.make(async (offset) => {
        await new Promise((resolve) => setTimeout(resolve, 10))
        return bytes.subarray(offset)
      })
      assert.strictEqual((yield* read(later)).bytes.byteLength, bytes.byteLength)
      const broken = yield* read(
        StreamSource.make(() => {
          throw new Error("no token\nstack")
        })
      )
      assert.strictEqual(broken.error?.message, "cannot read the source: no token")
      assert.isTrue(broken.error?.retryable)
    })
  )

  it.live("passes its stream's error on", () =>
    Effect.gen(function* () {
      async function* fails() {
        yield bytes.subarray(0, 10)
        throw new Error("disk on fire")
      }
      for (const input of [fails(), Readable.from(fails()), ReadableStream.from(fails())]) {
        const got = yield* read(StreamSource.make(input))
        assert.strictEqual(got.error?.message, "cannot read the source: disk on fire")
        assert.strictEqual(got.error?.reason._tag, "SourceUnreadable")
        assert.strictEqual(got.inUse, 0)
      }
    })
  )

  it.live("must give bytes", () =>
    Effect.gen(function* () {
      for (const [chunk, what] of [
        [42, /a number, not a Uint8Array/],
        [detached(), /memory of its bytes is gone/],
        [{ a: 1 }, /an object, not a Uint8Array/]
      ] as const) {
        const got = yield* read(StreamSource.make([chunk] as unknown as Array<Uint8Array>))
        assert.match(got.error?.message ?? "", what)
      }
    })
  )

  it.live("may use its memory again for the next piece", () =>
    Effect.gen(function* () {
      function* reusing() {
        const memory = new Uint8Array(77_777)
        for (const piece of pieces()) {
          memory.set(piece)
          yield memory.subarray(0, piece.byteLength)
          // Who keeps a piece after asking for the next one sees this.
          memory.fill(0)
        }
      }
      async function* reusingLater() {
        yield* reusing()
      }
      for (const input of [reusing(), reusingLater()]) {
        const got = yield* read(StreamSource.make(input))
        assert.isTrue(Buffer.from(got.bytes).equals(bytes))
      }
    })
  )

  it.live("must not be text", () =>
    Effect.gen(function* () {
      const text = Readable.from([Buffer.from(bytes.subarray(0, 1000))], { objectMode: false }).setEncoding("utf8")
      const got = yield* read(StreamSource.make(text))
      assert.match(got.error?.message ?? "", /gives text \(utf8\), not bytes/)
      const strings = yield* read(StreamSource.make(["a"] as unknown as Array<Uint8Array>))
      assert.match(strings.error?.message ?? "", /a string, not a Uint8Array/)
    })
  )

  it.live("keeps an error that comes before anybody reads", () =>
    Effect.gen(function* () {
      const stream = new Readable({ read() {} })
      const source = StreamSource.make(stream)
      stream.destroy(new Error("no such disk"))
      yield* Effect.sleep(10)
      assert.isTrue(stream.destroyed)
      assert.strictEqual((yield* read(source)).error?.message, "cannot read the source: no such disk")
    })
  )

  it.live("is told when nobody reads on", () =>
    Effect.gen(function* () {
      let returned = false
      async function* endless() {
        try {
          while (true) {
            yield bytes
            await new Promise((resolve) => setTimeout(resolve, 5))
          }
        } finally {
          returned = true
        }
      }
      const fiber = yield* Effect.forkChild(read(StreamSource.make(endless())))
      yield* Effect.sleep(50)
      yield* Fiber.interrupt(fiber)
      yield* Effect.sleep(20)
      assert.isTrue(returned)
    })
  )
})
