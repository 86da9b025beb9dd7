/**
 * Real uploads by HTTP, begun as a pace lets them, to a server that takes only so many at once.
 */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Receipt from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import * as HttpStore from "@headrace/http/HttpStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { afterEach, assert, describe, it } from "vitest"
import * as Pace from "../src/Pace.ts"

const layer = Layer.mergeAll(BlockPool.layer({ bytes: 32 * 1024 * 1024, blockBytes: 64 * 1024 }), NodeTransport.layer)

const bytes = new Uint8Array(20_000).fill(7)

interface Manner {
  /** As many bodies at once; others get 429. */
  most: number
  /** How long one takes. */
  workMs: number
  /** Closes each connection on which a body comes, without a word. */
  away: boolean
}

/** Takes bodies and keeps their number. */
const start = async (manner: Manner) => {
  let running = 0
  const seen = { taken: 0, refused: 0, most: 0, takenAt: [] as Array<number> }
  const server = http.createServer((request, response) => {
    // Whoever looks is answered, or all that run would do nothing else until it is back.
    if (request.method !== "PUT") {
      response.writeHead(404).end()
      return
    }
    if (manner.away) {
      request.socket.destroy()
      return
    }
    if (running >= manner.most) {
      seen.refused++
      response.writeHead(429, { "Retry-After": "1", Connection: "close" }).end("too many at once\n")
      return
    }
    running++
    seen.most = Math.max(seen.most, running)
    request.resume()
    request.on("end", () =>
      setTimeout(() => {
        running--
        seen.taken++
        seen.takenAt.push(performance.now())
        response.writeHead(201).end()
      }, manner.workMs)
    )
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

type Server = Awaited<ReturnType<typeof start>>

const servers: Array<Server> = []

const serve = async (manner: Manner) => {
  const server = await start(manner)
  servers.push(server)
  return server
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

/** A scheduler as small as can be: what failed because of the service is done once more. */
const upload = (pace: Pace.Pace, url: string, count: number, retries: number) =>
  Effect.gen(function* () {
    const place = Pace.placeOf(url)
    const todo = Array.from({ length: count }, (_, n) => n)
    const done = new Set<number>()
    let running = 0
    const one = (n: number, ticket: Pace.Ticket) =>
      Effect.gen(function* () {
        const result = yield* Effect.result(
          Transfer.run({
            source: Source.fromBytes(bytes),
            to: [HttpStore.put({ url: `${url}/${n}` })],
            retries,
            onEvent: (event) => Effect.sync(() => ticket.event(event))
          })
        )
        running--
        const receipt = result._tag === "Success" ? result.success : result.failure.receipt
        if (Receipt.succeeded(receipt)) done.add(n)
        else todo.push(n)
        yield* ticket.end(Receipt.succeeded(receipt) ? "good" : "requeued")
      })
    while (done.size < count) {
      while (todo.length > 0 && pace.admits([place])) {
        running++
        yield* Effect.forkScoped(one(todo.shift()!, pace.begin([place], { size: bytes.length })))
      }
      if (todo.length === 0 && running === 0 && done.size < count) yield* Effect.die(new Error("some were lost"))
      yield* pace.changed
    }
    return done.size
  })

const run = <A>(effect: Effect.Effect<A, never, Layer.Success<typeof layer> | Scope.Scope>) =>
  Effect.runPromise(Effect.provide(Effect.scoped(effect), layer))

describe("real uploads", () => {
  it("to a server that takes five at once are soon about five, with few refusals", async () => {
    const paced = (count: number, concurrency: number | "auto") =>
      Effect.gen(function* () {
        const server = yield* Effect.promise(() => serve({ most: 5, workMs: 100, away: false }))
        const startedAt = performance.now()
        const pace = yield* Pace.make({ concurrency, most: 64, onWait: () => Effect.void })
        assert.strictEqual(yield* upload(pace, server.url, count, 5), count)
        const { refused, taken, takenAt } = server.seen
        assert.strictEqual(taken, count)
        // The first seconds are those of the search.
        const later = takenAt.filter((at) => at - startedAt > 4000)
        const perSecond = (later.length - 1) / ((later.at(-1)! - later[0]!) / 1000)
        return { refused, perSecond, limit: pace.standing()[0]!.limit }
      })
    const best = await run(paced(200, 5))
    const found = await run(paced(300, "auto"))
    assert.strictEqual(best.refused, 0)
    assert.isAtMost(found.refused, 20)
    assert.isAtMost(found.limit, 6)
    assert.isAtLeast(found.perSecond, 0.6 * best.perSecond)
  })

  it("wait while a server is away, and go on when it is back", async () => {
    const manner = { most: 100, workMs: 20, away: false }
    const server = await serve(manner)
    const waits: Array<Pace.Wait> = []
    await run(
      Effect.gen(function* () {
        const pace = yield* Pace.make({
          concurrency: 8,
          onWait: (wait) => Effect.sync(() => void waits.push(wait))
        })
        yield* Effect.forkScoped(
          Effect.gen(function* () {
            yield* Effect.sleep(500)
            manner.away = true
            yield* Effect.sleep(5000)
            manner.away = false
          })
        )
        assert.strictEqual(yield* upload(pace, server.url, 600, 1), 600)
      })
    )
    assert.strictEqual(server.seen.taken, 600)
    // Once, or twice where one of those that were let through has found it away again.
    assert.include([2, 4], waits.length)
    for (const [index, { over, place, why }] of waits.entries()) {
      assert.deepStrictEqual([place, why, over], [server.url, "away", index % 2 === 1])
    }
    assert.notInclude(waits[0]!.message, "\n")
  })
})
