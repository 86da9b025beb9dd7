import { createHash, randomBytes } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import type { Source } from "@headrace/core/Source"
import { assert, describe, it } from "@effect/vitest"
import * as GlanceSource from "@headrace/glance/GlanceSource"
import type { EmbeddedGlance, Options } from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { server } from "./support/server.ts"
import { contentOf, embedded, layer, place, readAll, store, write } from "./support/session.ts"

const bytes = randomBytes(300_000)
const sha512 = createHash("sha512").update(bytes).digest("hex")
const md5 = createHash("md5").update(bytes).digest("hex")
const uuid = "6b1c7b4e-1f0c-4a2b-8c3d-123456789abc"

type Provided = Layer.Success<typeof layer> | Scope.Scope

const live = (name: string, test: Effect.Effect<unknown, unknown, Provided>) =>
  it.live(name, () => Effect.scoped(test).pipe(Effect.provide(layer)) as Effect.Effect<unknown, unknown>)

const put = (glance: EmbeddedGlance, name: string, data: Uint8Array = bytes, newId?: string) =>
  Effect.gen(function* () {
    const session = yield* store(glance, { name, newId, diskFormat: "raw" }).open(contentOf(data))
    yield* session.begin
    yield* write(session, data)
    return glance.images.list().at(-1)!.id
  })

const against = (
  name: string,
  options: Options,
  test: (glance: EmbeddedGlance) => Effect.Effect<unknown, unknown, Provided>
) => live(name, Effect.flatMap(embedded(options), test))

const read = <R>(source: Source<R>, offset = 0) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pool = yield* BlockPool.BlockPool
      const share = yield* pool.share(4)
      return yield* readAll(Blocks.toBytes(Stream.provideService(source.open(offset), BlockPool.BlockShare, share)))
    })
  )

describe("an image", () => {
  against("is read by its id and by its name", {}, (glance) =>
    Effect.gen(function* () {
      const id = yield* put(glance, "my disk")
      for (const image of [id, "my disk", { id }, { name: "my disk" }]) {
        const source = GlanceSource.image({ ...place(glance), image })
        assert.deepStrictEqual(yield* source.info, { size: bytes.length, identity: `${id} ${sha512}` })
        assert.isTrue(bytes.equals(yield* read(source)))
      }
      const hints = yield* GlanceSource.image({ ...place(glance), image: id }).hints!
      assert.deepStrictEqual(hints, {
        name: "my disk",
        diskFormat: "raw",
        containerFormat: "bare",
        digests: { md5, sha512 }
      })
    })
  )

  for (const randomRead of [true, false]) {
    against(
      `is read from the middle, of a store that can${randomRead ? "" : "not"}`,
      { stores: [{ id: "only", randomRead }] },
      (glance) =>
        Effect.gen(function* () {
          const id = yield* put(glance, "disk")
          const source = GlanceSource.image({ ...place(glance), image: id })
          assert.isTrue(bytes.subarray(123_457).equals(yield* read(source, 123_457)))
          const asked = glance.requests.filter(({ path }) => path.endsWith("/file") && !path.includes("stage"))
          const gets = asked.filter(({ method }) => method === "GET")
          assert.deepStrictEqual(
            gets.map(({ status }) => status),
            randomRead ? [206] : [400, 200]
          )
        })
    )
  }

  against("is empty", {}, (glance) =>
    Effect.gen(function* () {
      const id = yield* put(glance, "empty", new Uint8Array(0))
      const source = GlanceSource.image({ ...place(glance), image: id })
      assert.strictEqual((yield* source.info).size, 0)
      assert.strictEqual((yield* read(source)).length, 0)
    })
  )

  against("whose name several have is none, and their ids are named", {}, (glance) =>
    Effect.gen(function* () {
      const ids = [yield* put(glance, "twin"), yield* put(glance, "twin")]
      const error = yield* Effect.flip(GlanceSource.image({ ...place(glance), image: "twin" }).info)
      assert.strictEqual(error.reason._tag, "Conflict")
      for (const id of ids) assert.include(error.message, id)
    })
  )

  against("whose name a queued one has too is the one that can be read", {}, (glance) =>
    Effect.gen(function* () {
      const id = yield* put(glance, "disk")
      const other = yield* store(glance, { name: "disk" }).open(contentOf(bytes))
      yield* other.begin
      assert.include((yield* GlanceSource.image({ ...place(glance), image: "disk" }).info).identity, id)
    })
  )

  against("that is hidden is found by its name", {}, (glance) =>
    Effect.gen(function* () {
      const session = yield* store(glance, { name: "secret", hidden: true }).open(contentOf(bytes))
      yield* session.begin
      yield* write(session, bytes)
      yield* session.seal
      assert.strictEqual((yield* GlanceSource.image({ ...place(glance), image: "secret" }).info).size, bytes.length)
    })
  )

  against("with a name like an id is asked for by name", {}, (glance) =>
    Effect.gen(function* () {
      yield* put(glance, uuid)
      const source = GlanceSource.image({ ...place(glance), image: { name: uuid } })
      assert.match(source.uri, new RegExp(`\\?name=${uuid}$`))
      assert.isTrue(bytes.equals(yield* read(source)))
      const byId = yield* Effect.flip(GlanceSource.image({ ...place(glance), image: uuid }).info)
      assert.strictEqual(byId.reason._tag, "NotFound")
    })
  )

  against("that is not there, has no data, or is deactivated: which it is", { auth: "fake" }, (glance) =>
    Effect.gen(function* () {
      const at = place(glance, "alice:p:member")
      const absent = yield* Effect.flip(GlanceSource.image({ ...at, image: "nosuch" }).info)
      assert.strictEqual(absent.reason._tag, "NotFound")
      assert.include(absent.message, '"nosuch"')
      const session = yield* store(glance, { name: "new", newId: uuid, token: "alice:p:member" }).open(contentOf(bytes))
      yield* session.begin
      const queued = yield* Effect.flip(GlanceSource.image({ ...at, image: "new" }).info)
      assert.strictEqual(queued.reason._tag, "Conflict")
      assert.include(queued.message, "is queued")
      yield* write(session, bytes)
      yield* Effect.promise(() =>
        fetch(`${glance.url}/v2/images/${uuid}/actions/deactivate`, {
          method: "POST",
          headers: { "x-auth-token": "root:p:admin" }
        })
      )
      const deactivated = yield* Effect.flip(GlanceSource.image({ ...at, image: uuid }).info)
      assert.strictEqual(deactivated.reason._tag, "Forbidden")
      assert.include(deactivated.message, "deactivated")
      const refused = yield* Effect.flip(GlanceSource.image({ ...place(glance, "bad"), image: uuid }).info)
      assert.strictEqual(refused.reason._tag, "Unauthorized")
    })
  )
})

interface Script {
  /** What is done with each GET of the data, in order; the last goes on for ever. */
  readonly files: ReadonlyArray<(request: IncomingMessage, response: ServerResponse) => void>
  readonly ranges: Array<string | undefined>
}

/** An image service with one image, the data of which is given as a script says. */
const scripted = (script: Script, size: number | null = bytes.length) =>
  server((request, response) => {
    if (!request.url!.endsWith("/file")) {
      response.setHeader("content-type", "application/json")
      response.end(
        JSON.stringify({
          id: uuid,
          status: "active",
          name: "disk",
          size,
          os_hash_algo: "sha512",
          os_hash_value: sha512
        })
      )
      return
    }
    const handle = script.files[script.ranges.length] ?? script.files.at(-1)!
    script.ranges.push(request.headers.range)
    handle(request, response)
  })

const startOf = (request: IncomingMessage) => Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0)

const whole = (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(200, { "content-length": bytes.length })
  response.end(bytes)
}

const ranged = (request: IncomingMessage, response: ServerResponse) => {
  const start = startOf(request)
  if (start === 0) return whole(request, response)
  response.writeHead(206, {
    "content-length": bytes.length - start,
    "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`
  })
  response.end(bytes.subarray(start))
}

/** The data from where it is asked for, cut off after so many bytes of the image. */
const cutAt = (end: number) => (request: IncomingMessage, response: ServerResponse) => {
  const start = startOf(request)
  response.writeHead(start === 0 ? 200 : 206, {
    "content-length": bytes.length - start,
    ...(start === 0 ? undefined : { "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` })
  })
  response.write(bytes.subarray(start, end), () => setTimeout(() => response.destroy(), 20))
}

const status =
  (code: number, text = "", headers: Record<string, string> = {}) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(code, headers)
    response.end(text)
  }

const chunkedShort = (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(200)
  response.end(bytes.subarray(0, 1000))
}

const source = (url: string) => GlanceSource.image({ endpoint: url, image: uuid })

describe("the data", () => {
  const comes = (name: string, files: Script["files"], ranges: ReadonlyArray<string | undefined>, offset = 0) =>
    live(
      name,
      Effect.gen(function* () {
        const script: Script = { files, ranges: [] }
        const got = yield* read(source(yield* scripted(script)), offset)
        assert.isTrue(bytes.subarray(offset).equals(got))
        assert.deepStrictEqual(script.ranges, ranges)
      })
    )

  const fails = (name: string, files: Script["files"], reason: string, retryable: boolean, says = "") =>
    live(
      name,
      Effect.gen(function* () {
        const error = yield* Effect.flip(read(source(yield* scripted({ files, ranges: [] }))))
        assert.strictEqual(error.reason._tag, reason)
        assert.strictEqual(error.retryable, retryable)
        assert.include(error.message, says)
      })
    )

  comes(
    "goes on where the connection was lost",
    [cutAt(100_000), cutAt(200_000), ranged],
    [undefined, "bytes=100000-", "bytes=200000-"]
  )
  comes("that ends early without a length goes on too", [chunkedShort, ranged], [undefined, "bytes=1000-"])
  comes(
    "is asked for again when a proxy says 502",
    [status(502), status(503, "", { "retry-after": "1" }), whole],
    [undefined, undefined, undefined]
  )
  comes("from the middle, where 200 comes in place of 206", [whole], ["bytes=5000-"], 5000)
  comes(
    "from the middle, where a range begins before",
    [
      (_, response) => {
        response.writeHead(206, { "content-range": `bytes 4096-${bytes.length - 1}/${bytes.length}` })
        response.end(bytes.subarray(4096))
      }
    ],
    ["bytes=5000-"],
    5000
  )
  fails(
    "that cannot go on from the middle is to be read again",
    [cutAt(100_000), status(400, "Getting images randomly from this store is not supported")],
    "ConnectionLost",
    true,
    "from the middle"
  )
  fails(
    "that goes on somewhere else is refused",
    [
      cutAt(100_000),
      (_, response) => {
        response.writeHead(206, { "content-range": `bytes 150000-${bytes.length - 1}/${bytes.length}` })
        response.end(bytes.subarray(150_000))
      }
    ],
    "Rejected",
    false,
    "others came"
  )
  fails(
    "that is forbidden is",
    [status(403, "The requested image has been deactivated.")],
    "Forbidden",
    false,
    "deactivated"
  )
  fails("that is gone is", [cutAt(1000), status(404, "No image found")], "NotFound", false)
  fails("that is less than was announced, for good", [status(204)], "SourceTooShort", true, "0 of 300000")
})
