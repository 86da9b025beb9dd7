/**
 * The data of an image as a stream. A lost connection is taken up again where it was, if the image's back end can
 * read from there; some can (files, Cinder), others answer 400 (RBD, S3, Swift), and a cache in front answers 200.
 */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Response } from "@headrace/core/Transport"
import * as Answer from "./answer.ts"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"

type Chunks = Arr.NonEmptyReadonlyArray<Uint8Array>
type BytesPull = Pull.Pull<Chunks, Fault.Fault, void>

interface Opened {
  readonly pull: BytesPull
  readonly close: Effect.Effect<void>
}

/** Connections in a row that may be lost without a byte. */
const mostFailures = 5

const what = "the image's data cannot be read"

/** Leaves out the first bytes. */
const skip = (pull: BytesPull, count: number): BytesPull => {
  let left = count
  const next: BytesPull = Effect.flatMap(pull, (chunks): BytesPull => {
    if (left === 0) return Effect.succeed(chunks)
    const rest: Array<Uint8Array> = []
    for (const chunk of chunks) {
      const drop = Math.min(left, chunk.byteLength)
      left -= drop
      if (drop < chunk.byteLength) rest.push(chunk.subarray(drop))
    }
    return rest.length === 0 ? next : Effect.succeed(rest as unknown as Chunks)
  })
  return next
}

const startOf = (response: Response): number | undefined => {
  const match = /^bytes (\d+)-/.exec(response.headers["content-range"] ?? "")
  return match === null ? undefined : Number(match[1])
}

export interface Options {
  readonly id: string
  /** Bytes to leave out at the beginning. */
  readonly offset: number
  /** Bytes of the whole image, where known: less is never taken for the end. */
  readonly size: number | undefined
}

export const stream = (api: Api, { id, offset, size }: Options): Stream.Stream<Uint8Array, Fault.Fault> => {
  const url = `${api.access.base}/v2/images/${encodeURIComponent(id)}/file`

  const get = (position: number, ranged: boolean): Effect.Effect<Response, Fault.Fault, Scope.Scope> =>
    Effect.gen(function* () {
      let renewed = false
      while (true) {
        const signed = yield* api.sign
        const response = yield* Effect.mapError(
          api.transport.send({
            method: "GET",
            url,
            headers: { ...signed.headers, ...(ranged ? { Range: `bytes=${position}-` } : undefined) },
            ...(api.access.tls === undefined ? undefined : { tls: api.access.tls })
          }),
          Fault.fromTransport
        )
        if (response.status === 200 || response.status === 204 || response.status === 206) return response
        if (ranged && response.status === 400) return response
        if (response.status === 401 && !renewed) {
          renewed = true
          if (yield* api.renew(signed.token)) continue
        }
        const answer = yield* api.answer(response, signed.token)
        if (response.status === 416) {
          return yield* Fault.make("SourceChanged", `the image has fewer than ${position} bytes now`, { status: 416 })
        }
        return yield* Answer.ofCall(answer, what)
      }
    })

  /** Opens at a position; `first` if nothing has been passed on yet, so that a beginning can be left out. */
  const openAt = (position: number, first: boolean, ranges: { possible: boolean }) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const close = Scope.close(scope, Exit.void)
      const open = Effect.gen(function* () {
        const ranged = position > 0 && ranges.possible
        let response = yield* get(position, ranged)
        if (ranged && response.status !== 206) {
          ranges.possible = false
          if (!first) {
            return yield* Fault.make(
              "ConnectionLost",
              "the connection was lost, and the image's store cannot read from the middle",
              {
                retryable: true
              }
            )
          }
          if (response.status === 400) response = yield* get(0, false)
        }
        const from = response.status === 206 ? startOf(response) : 0
        if (from === undefined || from > position) {
          return yield* Fault.make("Rejected", `${what}: bytes from ${position} on were asked for, others came`)
        }
        const pull = yield* Stream.toPull(Stream.mapError(response.stream, Fault.fromTransport))
        return skip(pull as BytesPull, position - from)
      })
      const pull = yield* open.pipe(
        Scope.provide(scope),
        Effect.onError(() => close)
      )
      return { pull, close } satisfies Opened
    })

  return Stream.unwrap(
    Effect.gen(function* () {
      let opened: Opened | undefined
      let position = offset
      let failures = 0
      const ranges = { possible: true }
      yield* Effect.addFinalizer(() => opened?.close ?? Effect.void)

      const lost = (fault: Fault.Fault): BytesPull =>
        Effect.gen(function* () {
          yield* opened?.close ?? Effect.void
          opened = undefined
          const resumable = ranges.possible || position === offset
          if (!fault.retryable || !resumable || ++failures > mostFailures) return yield* fault
          yield* Effect.sleep(Math.max(fault.retryAfterMs ?? 0, 250 * 2 ** (failures - 1)))
          return yield* next
        })

      const next: BytesPull = Effect.suspend(() => {
        const pull: BytesPull =
          opened?.pull ??
          Effect.flatMap(openAt(position, position === offset, ranges), (now): BytesPull => {
            opened = now
            return now.pull
          })
        return Effect.matchCauseEffect(pull, {
          onSuccess: (chunks): BytesPull => {
            for (const chunk of chunks) position += chunk.byteLength
            failures = 0
            return Effect.succeed(chunks)
          },
          onFailure: (cause): BytesPull => {
            if (Pull.isDoneCause(cause)) {
              return size === undefined || position >= size
                ? (Effect.failCause(cause) as BytesPull)
                : lost(
                    Fault.make("SourceTooShort", `the image's data ended after ${position} of ${size} bytes`, {
                      retryable: true
                    })
                  )
            }
            const fault = cause.reasons.find((reason) => reason._tag === "Fail")?.error
            return fault instanceof Fault.Fault ? lost(fault) : (Effect.failCause(cause) as BytesPull)
          }
        })
      })
      return Stream.fromPull(Effect.succeed(next))
    })
  )
}
