import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Host } from "@headrace/core/Host"
import { Transport } from "@headrace/core/Transport"
import * as Clouds from "@headrace/keystone/Clouds"
import * as FakeKeystone from "./support/FakeKeystone.ts"
import * as MemoryHost from "./support/MemoryHost.ts"
import { clouds, transport } from "./support/Sessions.ts"

const counting = (machine: MemoryHost.Machine) => {
  const host = MemoryHost.make(machine)
  const counted = { reads: 0 }
  const layer = Layer.succeed(Host, {
    ...host,
    readFile: (path) =>
      Effect.suspend(() => {
        counted.reads += 1
        return host.readFile(path)
      })
  })
  return { counted, layer }
}

describe("the registry of clouds", () => {
  it.effect("gives one session a cloud, by whatever name it is asked, and reads the files once", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const { counted, layer } = counting({ files: { "/work/clouds.yaml": clouds(keystone) } })
      yield* Effect.gen(function* () {
        const sessions = yield* Effect.all(
          Array.from({ length: 20 }, () => Clouds.session("prod")),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(sessions).size, 1)
        const { reads } = counted
        yield* Clouds.session("prod")
        assert.strictEqual(counted.reads, reads)
        assert.strictEqual(yield* Clouds.session(), sessions[0])
        yield* Effect.all(
          sessions.map((session) => session.token),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(keystone.asked(), 1)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(transport))
  )

  it.effect("shares nothing between transports or hosts", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const machine = { files: { "/work/clouds.yaml": clouds(keystone) } }
      const one = MemoryHost.make(machine)
      const two = MemoryHost.make(machine)
      const here = yield* Transport
      const there = { ...here }
      const session = (host: typeof one, transport: typeof here) =>
        Clouds.session("prod").pipe(Effect.provideService(Host, host), Effect.provideService(Transport, transport))
      const sessions = [
        yield* session(one, here),
        yield* session(one, there),
        yield* session(two, here),
        yield* session(one, here)
      ]
      assert.strictEqual(new Set(sessions).size, 3)
      assert.strictEqual(sessions[0], sessions[3])
      const own = yield* Effect.provideService(session(one, here), Clouds.Clouds, Clouds.make())
      assert.notInclude(sessions, own)
    }).pipe(Effect.provide(transport))
  )

  it.effect("does not remember a failure", () =>
    Effect.gen(function* () {
      const files: Record<string, string> = {}
      const host = MemoryHost.make({ files })
      const session = Effect.provideService(Clouds.session("prod"), Host, host)
      assert.strictEqual((yield* Effect.flip(session)).reason._tag, "InvalidConfig")
      files["/work/clouds.yaml"] = clouds({ url: "http://127.0.0.1:1" }, { username: undefined })
      assert.include((yield* Effect.flip(session)).message, "needs username")
      files["/work/clouds.yaml"] = clouds({ url: "http://127.0.0.1:1" })
      assert.strictEqual((yield* session).cloud, "prod")
    }).pipe(Effect.provide(transport))
  )
})
