import * as BlockPool from "@headrace/core/BlockPool"
import * as MemoryStore from "@headrace/core/MemoryStore"
import * as Source from "@headrace/core/Source"
import { Tracing } from "@headrace/core/Tracing"
import * as TracingModule from "@headrace/core/Tracing"
import * as Transfer from "@headrace/core/Transfer"
import type { Response } from "@headrace/core/Transport"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import { describe, expect, it } from "vitest"

/** A tracer that keeps what it is given. */
const collecting = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

const exitOf = (span: Tracer.Span): Exit.Exit<unknown, unknown> | undefined =>
  span.status._tag === "Ended" ? span.status.exit : undefined

class Refused extends Data.TaggedError("Refused")<{
  readonly reason: { readonly _tag: "Forbidden" }
  readonly message: string
}> {}

describe("spans", () => {
  const transfer = (allowEmpty: boolean) =>
    Transfer.run({
      source: Source.fromBytes(new Uint8Array(allowEmpty ? 10 : 0), "memory:ten"),
      to: [MemoryStore.make().object("key")],
      id: "one"
    }).pipe(Effect.provide(BlockPool.layer({ bytes: 4 * 1024 * 1024 })), Effect.result)

  it("are one for a transfer and one for its attempt, with what became of it", async () => {
    const { spans, tracer } = collecting()
    await Effect.runPromise(transfer(true).pipe(Effect.provideService(Tracing, true), Effect.withTracer(tracer)))
    const [whole, attempt] = spans
    expect(spans.map(({ name }) => name)).toEqual(["headrace.transfer", "headrace.attempt"])
    expect(attempt!.parent).toMatchObject({ value: { spanId: whole!.spanId } })
    expect(Object.fromEntries(whole!.attributes)).toMatchObject({
      "headrace.transfer.id": "one",
      "headrace.source": "memory:ten",
      "headrace.size": 10,
      "headrace.status": ["verified"]
    })
    expect(exitOf(whole!)?._tag).toBe("Success")
  })

  it("of a transfer that failed name the reason", async () => {
    const { spans, tracer } = collecting()
    await Effect.runPromise(transfer(false).pipe(Effect.provideService(Tracing, true), Effect.withTracer(tracer)))
    expect(exitOf(spans[0]!)?._tag).toBe("Failure")
    expect(spans[0]!.attributes.get("headrace.status")).toEqual(["failed"])
  })

  it("are not made unless they are turned on", async () => {
    const { spans, tracer } = collecting()
    await Effect.runPromise(transfer(true).pipe(Effect.withTracer(tracer)))
    expect(spans).toEqual([])
  })

  it("of a request have no user, no query and no message, and leave its failure as it is", async () => {
    const { spans, tracer } = collecting()
    const error = new Refused({ reason: { _tag: "Forbidden" }, message: "token=secret" })
    const request = { method: "GET", url: "https://user:secret@host.test:8443/a/b?X-Amz-Signature=secret#secret" }
    const result = await Effect.runPromise(
      TracingModule.request(Effect.fail(error), request).pipe(
        Effect.provideService(Tracing, true),
        Effect.withTracer(tracer),
        Effect.flip
      )
    )
    expect(result).toBe(error)
    const [span] = spans
    expect(Object.fromEntries(span!.attributes)).toEqual({
      "http.request.method": "GET",
      "server.address": "host.test:8443",
      "url.path": "/a/b"
    })
    const exit = exitOf(span!)
    expect(exit?._tag === "Failure" && Cause.prettyErrors(exit.cause).map(({ message }) => message)).toEqual([
      "Forbidden"
    ])
    expect(exit?._tag === "Failure" && Cause.pretty(exit.cause)).not.toContain("secret")
  })

  it("of a refused request carry the service's name for it, and the answer is the caller's all the same", async () => {
    const { spans, tracer } = collecting()
    const answer = { status: 503, headers: { "x-trans-id": "tx1" } } as unknown as Response
    const got = await Effect.runPromise(
      TracingModule.request(Effect.succeed(answer), { method: "HEAD", url: "http://host/" }).pipe(
        Effect.provideService(Tracing, true),
        Effect.withTracer(tracer)
      )
    )
    expect(got).toBe(answer)
    expect(spans[0]!.attributes.get("headrace.request_id")).toBe("tx1")
    expect(exitOf(spans[0]!)?._tag).toBe("Failure")
  })

  it("end with an interruption", async () => {
    const { spans, tracer } = collecting()
    await Effect.runPromise(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          TracingModule.request(Effect.never, { method: "GET", url: "http://host/" }),
          { startImmediately: true }
        )
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provideService(Tracing, true), Effect.withTracer(tracer))
    )
    expect(spans).toHaveLength(1)
    expect(exitOf(spans[0]!)?._tag).toBe("Failure")
  })
})
