/**
 * Uploads within the limits of a project: an embedded Glance with limits, and a real one whose limits a Keystone keeps.
 */
import * as BlockPool from "@headrace/core/BlockPool"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as NodeHost from "@headrace/node/NodeHost"
import * as NodeTransport from "@headrace/node/NodeTransport"
import { type EmbeddedGlance, type QuotaOptions, start } from "@headrace/testkit/EmbeddedGlance"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { startGlance, startKeystone } from "../../../testbed/testbed.ts"
import * as Pace from "../src/Pace.ts"
import * as Quota from "../src/Quota.ts"

const MiB = 1024 * 1024
const place = "glance://new"

const layer = Layer.mergeAll(
  BlockPool.layer({ bytes: 16 * MiB, blockBytes: 64 * 1024 }),
  NodeTransport.layer,
  NodeHost.layer
)

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Layer.Success<typeof layer>>, timeoutMs = 60_000) =>
  it.live(name, () => Effect.provide(test(), layer), timeoutMs)

const embedded = (quota?: QuotaOptions) =>
  Effect.acquireRelease(
    Effect.promise(() => start({ manner: "uwsgi", ...(quota === undefined ? {} : { quota }) })),
    (glance) => Effect.promise(() => glance.close())
  )

const fixed = (concurrency: number, waits: Array<Pace.Wait> = []) =>
  Pace.make({ concurrency, onWait: (wait) => Effect.sync(() => void waits.push(wait)) })

const asked = ({ requests }: EmbeddedGlance) => requests.filter(({ path }) => path === "/v2/info/usage").length

interface Service {
  readonly url: string
  readonly token?: string
}

const call = ({ token, url }: Service, method: string, path: string, body?: string | Uint8Array<ArrayBuffer>) =>
  Effect.promise(async () => {
    const json = typeof body === "string"
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        "content-type": json ? "application/json" : "application/octet-stream",
        ...(token === undefined ? {} : { "x-auth-token": token })
      },
      ...(body === undefined ? {} : { body })
    })
    const text = await response.text()
    return { status: response.status, id: response.status === 201 ? (JSON.parse(text).id as string) : "" }
  })

/** Somebody else's upload that is under way: an image that is staged. */
const underWay = (service: Service) =>
  Effect.gen(function* () {
    const image = JSON.stringify({ name: "other", disk_format: "raw", container_format: "bare" })
    const { id } = yield* call(service, "POST", "/v2/images", image)
    assert.strictEqual((yield* call(service, "PUT", `/v2/images/${id}/stage`, new Uint8Array(1000))).status, 204)
    return id
  })

const at = ({ token, url }: Service) => ({
  endpoint: url,
  ...(token === undefined ? {} : { token: Redacted.make(token) })
})

/** Uploads as many as a pace lets begin; gives the events. */
const uploads = (pace: Pace.Pace, service: Service, count: number) =>
  Effect.gen(function* () {
    const events: Array<TransferEvent> = []
    let left = count
    let running = 0
    const one = (ticket: Pace.Ticket) =>
      Effect.gen(function* () {
        yield* Transfer.run({
          source: Source.fromBytes(new Uint8Array(MiB).fill(7)),
          to: [GlanceStore.image({ ...at(service), name: "ours", diskFormat: "raw" })],
          onEvent: (event) =>
            Effect.sync(() => {
              events.push(event)
              ticket.event(event)
            })
        })
        running--
        yield* ticket.end("good")
      })
    while (left > 0 || running > 0) {
      while (left > 0 && pace.admits([place])) {
        left--
        running++
        yield* Effect.forkScoped(one(pace.begin([place], { size: MiB })))
      }
      yield* pace.changed
    }
    return events
  })

/** The most that were under way at the same time. */
const most = ({ requests }: EmbeddedGlance): number => {
  const puts = requests.filter(({ method, path }) => method === "PUT" && path.endsWith("/file"))
  return Math.max(
    ...puts.map(({ startedAt }) => puts.filter((one) => one.startedAt <= startedAt && startedAt < one.endedAt).length)
  )
}

const limitOf = (pace: Pace.Pace) => pace.standing().find((standing) => standing.place === place)?.limit

describe("a quota", () => {
  live("that does not exist is asked for once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded()
        const pace = yield* fixed(8)
        const quota = yield* Quota.keep({ pace, place, at: at(glance), everyMs: 50 })
        const ticket = pace.begin([place], { size: 1 })
        yield* Effect.sleep(500)
        yield* ticket.end("good")
        assert.strictEqual(asked(glance), 1)
        assert.deepStrictEqual(quota.usage(), {})
        assert.deepStrictEqual(yield* quota.room(10 ** 12), { _tag: "Fits" })
        assert.strictEqual(limitOf(pace), 8)
      })
    )
  )

  live("of uploads leaves ours what others do not use, and is looked at again while some run", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded({ imageCountUploading: 5 })
        const others = [yield* underWay(glance), yield* underWay(glance)]
        const pace = yield* fixed(8)
        yield* Quota.keep({ pace, place, at: at(glance), everyMs: 100 })
        assert.strictEqual(limitOf(pace), 3)
        const before = asked(glance)
        yield* Effect.sleep(500)
        assert.strictEqual(asked(glance), before, "nothing runs")
        const ticket = pace.begin([place], { size: 1 })
        for (const id of others) yield* call(glance, "DELETE", `/v2/images/${id}`)
        yield* Effect.sleep(1500)
        assert.isAbove(asked(glance), before)
        assert.strictEqual(limitOf(pace), 5)
        yield* ticket.end("good")
      })
    )
  )

  live("of uploads is never passed by real ones", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded({ imageCountUploading: 4 })
        yield* underWay(glance)
        const pace = yield* fixed(16)
        yield* Quota.keep({ pace, place, at: at(glance) })
        const events = yield* uploads(pace, glance, 30)
        const ends = events.flatMap((event) => (event.type === "verdict" ? [event.status] : []))
        assert.deepStrictEqual(
          ends,
          Array.from({ length: 30 }, () => "verified")
        )
        assert.isFalse(events.some(({ type }) => type === "retry"))
        assert.isAtMost(most(glance), 3)
      })
    )
  )

  live("of uploads that is looked at all the time stops none", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded({ imageCountUploading: 3 })
        yield* underWay(glance)
        const pace = yield* Pace.make({ concurrency: "auto", most: 32, onWait: () => Effect.void })
        yield* Quota.keep({ pace, place, at: at(glance), everyMs: 50 })
        const events = yield* uploads(pace, glance, 60)
        const ends = events.flatMap((event) => (event.type === "verdict" ? [event.status] : []))
        assert.deepStrictEqual(
          ends,
          Array.from({ length: 60 }, () => "verified")
        )
      })
    )
  )

  live("that others use up pauses the place, and says so", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded({ imageCountUploading: 1 })
        const other = yield* underWay(glance)
        const waits: Array<Pace.Wait> = []
        const pace = yield* fixed(8, waits)
        yield* Quota.keep({ pace, place, at: at(glance), everyMs: 100 })
        assert.isFalse(pace.admits([place]))
        const message = "the project's image_count_uploading is full: 1 of 1 used"
        assert.deepStrictEqual(waits, [{ place, why: "quota", message, over: false }])
        yield* call(glance, "DELETE", `/v2/images/${other}`)
        yield* pace.changed
        assert.isTrue(pace.admits([place]))
        yield* Effect.sleep(10)
        assert.deepStrictEqual(waits.at(-1), { place, why: "quota", message, over: true })
      })
    )
  )

  live("of bytes or images says whether there is room, and lets the place go on when there is", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded({ imageSizeTotal: 10, imageCountTotal: 3 })
        const pace = yield* fixed(8)
        const quota = yield* Quota.keep({ pace, place, at: at(glance), everyMs: 100 })
        yield* uploads(pace, glance, 2)
        assert.deepStrictEqual(yield* quota.room(8 * MiB), { _tag: "Fits" })
        assert.deepStrictEqual(yield* quota.room(undefined), { _tag: "Fits" })
        assert.deepStrictEqual(yield* quota.room(9 * MiB), {
          _tag: "Full",
          message: "the project's image_size_total is full: 2 of 10 MiB used"
        })
        const never = {
          _tag: "Never",
          message: "the image has 11 MiB, and the project's image_size_total is 10 MiB"
        } as const
        assert.deepStrictEqual(yield* quota.full(11 * MiB, "413"), never)
        assert.isTrue(pace.admits([place]), "it would wait for ever")
        yield* uploads(pace, glance, 1)
        const message = "the project's image_count_total is full: 3 of 3 used"
        assert.deepStrictEqual(yield* quota.full(1, "413"), { _tag: "Full", message })
        assert.strictEqual(pace.standing()[0]!.waiting!.message, message)
        assert.isFalse(pace.admits([place]))
        yield* call(glance, "DELETE", `/v2/images/${glance.images.list()[0]!.id}`)
        yield* pace.changed
        assert.isTrue(pace.admits([place]))
      })
    )
  )

  live("that cannot be seen lets one be tried after a while", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded()
        const pace = yield* fixed(8)
        const quota = yield* Quota.keep({ pace, place, at: at(glance) })
        assert.deepStrictEqual(yield* quota.full(1, "the store is full"), { _tag: "Fits" })
        assert.strictEqual(pace.standing()[0]!.waiting!.message, "the store is full")
        assert.isFalse(pace.admits([place]))
      })
    )
  )

  live("is asked for once by those who ask together, and kept where it cannot be read", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const glance = yield* embedded({ imageCountTotal: 3 })
        const pace = yield* fixed(8)
        const quota = yield* Quota.keep({ pace, place, at: at(glance) })
        const before = asked(glance)
        yield* Effect.all(
          Array.from({ length: 10 }, () => quota.refresh),
          { concurrency: "unbounded" }
        )
        assert.isAtMost(asked(glance) - before, 2)
        yield* Effect.promise(() => glance.close())
        yield* quota.refresh
        assert.strictEqual(quota.usage()["image_count_total"]!.limit, 3)
      })
    )
  )
})

// It starts a Keystone and a Glance with limits of its own, and waits for them to be read again: a minute.
const isLong = process.env["HEADRACE_LONG"] !== undefined && process.env["HEADRACE_TESTBED_GLANCE"] !== undefined

describe.skipIf(!isLong)("[optional] the quota of a real Glance", () => {
  live(
    "is never passed by uploads, and tells when there is room",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const limits = {
            image_size_total: 9,
            image_stage_total: 100,
            image_count_total: 10,
            image_count_uploading: 3
          }
          const keystone = yield* Effect.acquireRelease(
            Effect.promise(() => startKeystone({ limits })),
            (one) => Effect.promise(() => one.stop())
          )
          const glance = yield* Effect.acquireRelease(
            Effect.promise(() => startGlance({ auth: keystone, limits: true })),
            (one) => Effect.promise(() => one.stop())
          )
          const service = { url: glance.url, token: yield* Effect.promise(() => keystone.token("demo")) }
          const other = yield* underWay(service)
          const pace = yield* fixed(8)
          const quota = yield* Quota.keep({ pace, place, at: at(service), everyMs: 1000 })
          assert.strictEqual(limitOf(pace), 2)
          const events = yield* uploads(pace, service, 8)
          assert.isFalse(events.some(({ type }) => type === "retry"))
          assert.strictEqual(
            events.filter((event) => event.type === "verdict" && event.status === "verified").length,
            8
          )
          assert.deepStrictEqual(yield* quota.room(MiB), { _tag: "Fits" })
          assert.strictEqual((yield* quota.full(2 * MiB, "413"))._tag, "Full")
          assert.strictEqual((yield* quota.room(10 * MiB))._tag, "Never")
          assert.isFalse(pace.admits([place]))
          const ours = events.find((event) => event.type === "verdict")!
          const { object } = ours as Extract<TransferEvent, { readonly type: "verdict" }>
          for (const id of [object!.id, other]) yield* call(service, "DELETE", `/v2/images/${id}`)
          while (!pace.admits([place])) yield* pace.changed
          yield* quota.refresh
          assert.strictEqual(limitOf(pace), 3)
        })
      ),
    240_000
  )
})
