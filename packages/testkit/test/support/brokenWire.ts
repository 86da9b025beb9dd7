/** Adapters of a web server with one fault each, that only a wire which breaks can show. */
import { once } from "node:events"
import { get, type IncomingMessage } from "node:http"
import type { Digests } from "@headrace/core/Digest"
import * as Blocks from "@headrace/core/Blocks"
import type { Body, Inspection, Store, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export interface Broken {
  readonly fault: string
  readonly caughtBy: string
  readonly says: RegExp
  readonly breaks: (store: Store<Transport, WholeSession>) => Store<Transport, WholeSession>
}

const session =
  (change: (session: WholeSession, size: number | undefined) => Partial<WholeSession>) =>
  (store: Store<Transport, WholeSession>): Store<Transport, WholeSession> => ({
    ...store,
    open: (content) => Effect.map(store.open(content), (session) => ({ ...session, ...change(session, content.size) }))
  })

/** Every error of a store, altered. */
const errors =
  (alter: (error: StoreError.StoreError) => Partial<StoreError.StoreError>) =>
  (store: Store<Transport, WholeSession>): Store<Transport, WholeSession> => {
    const altered = <E>(error: E): E =>
      error instanceof StoreError.StoreError ? (new StoreError.StoreError({ ...error, ...alter(error) }) as E) : error
    return {
      ...store,
      open: (content) =>
        Effect.mapError(
          Effect.map(store.open(content), (session) => ({
            ...session,
            begin: Effect.mapError(session.begin, altered),
            inspect: Effect.mapError(session.inspect, altered),
            write: (body) => Effect.mapError(session.write(body), altered)
          })),
          altered
        )
    }
  }

/** Takes a body whole, and then sends it some times, whatever is answered. */
const sendAll = <E, R>(session: WholeSession, body: Body<E, R>, times: number) =>
  Effect.gen(function* () {
    const chunks = yield* Stream.runCollect(Blocks.toBytes(body.stream))
    const bytes = Buffer.concat(chunks)
    const url = yield* session.location
    for (let time = 0; time < times; time++) {
      yield* Effect.tryPromise({
        try: () => fetch(url, { method: "PUT", body: bytes }).then((answer) => answer.arrayBuffer()),
        catch: (cause) => StoreError.make("ConnectionLost", { uri: url, message: String(cause), retryable: true })
      })
    }
    body.onSent(bytes.byteLength)
  })

/** A session that sends bodies so, and does not look. */
const sending = (times: number) =>
  session((same, size) => {
    let wrote = false
    return {
      write: (body) =>
        Effect.map(sendAll(same, body, times), () => {
          wrote = true
        }),
      inspect: Effect.suspend(() =>
        wrote ? Effect.succeed<Inspection>({ _tag: "Stored", object: { id: "it", size, digests: {} } }) : same.inspect
      )
    }
  })

const isLost = (error: StoreError.StoreError) => error.reason._tag === "ConnectionLost"

export const overHttp: ReadonlyArray<Broken> = [
  {
    fault: "sends a body twice",
    caughtBy: "keeps to a limit on the rate",
    says: /1572864 bytes were on the wire after [\d.]+ s, at 1048576 a second/,
    breaks: sending(2)
  },
  {
    fault: "has its retryable flags the wrong way round",
    caughtBy: "says that a service which does not listen may be tried again",
    says: /its error is retryable\n {2}but it is not retryable \(ConnectionLost: /,
    breaks: errors((error) => ({ retryable: !error.retryable }))
  },
  {
    fault: "does not tell when to come back",
    caughtBy: "says that a service which is busy may be tried again, and when",
    says: /"Retry-After: 7" is in its error, as retryAfterMs in milliseconds\n {2}but there it is undefined/,
    breaks: errors(() => ({ retryAfterMs: undefined }) as object)
  },
  {
    fault: "tells seconds for milliseconds",
    caughtBy: "says that a service which is busy may be tried again, and when",
    says: /but there it is 7\n/,
    breaks: errors(({ retryAfterMs }) => (retryAfterMs === undefined ? {} : { retryAfterMs: retryAfterMs / 1000 }))
  },
  {
    fault: "is sure of what nobody can know",
    caughtBy: "says that a connection which broke may be tried again",
    says: /nobody knows what the service has: its error is not clear/,
    breaks: errors((error) => (isLost(error) ? { clear: true } : {}))
  },
  {
    fault: "waits for ever",
    caughtBy: "gives up on a service that falls silent",
    says: /the upload has not ended within 2000 ms/,
    breaks: session((same) => ({
      write: (body) => same.write({ ...body, stallMs: 3_600_000, answerMs: 3_600_000 })
    }))
  },
  {
    fault: "takes the end of a connection for the end of what is read",
    caughtBy: "fails when what is read back is cut",
    says: /it never ends as if that were all\n {2}but it ended well, with \d+ of 786432 bytes/,
    breaks: session((same) => ({
      read: Stream.unwrap(
        Effect.map(same.location, (url) => {
          const chunks = async function* () {
            const [answer] = (await once(get(url), "response")) as [IncomingMessage]
            yield* answer
          }
          return Stream.catchCause(
            Stream.fromAsyncIterable(chunks(), (cause) => cause),
            () => Stream.empty
          )
        })
      )
    }))
  },
  {
    fault: "tells the URL with its password in an error",
    caughtBy: "tells no secret",
    says: /the error of (an upload to nobody|a replaceAnswer|a cutRequest) has the author's secret number 1 in it/,
    breaks: errors((error) => ({ message: `PUT http://user:hunter2@host/: ${error.message}` }))
  },
  {
    fault: "gives up when the connection breaks",
    caughtBy: "goes on after the connection broke, at whatever byte",
    says: /a transfer goes on after a connection that was reset[\s\S]*but it failed with ConnectionLost/,
    breaks: errors((error) => (isLost(error) ? { retryable: false, clear: true } : {}))
  },
  {
    fault: "gives up after a silence",
    caughtBy: "goes on after a silence",
    says: /but it failed with Stalled/,
    breaks: errors((error) => (error.reason._tag === "Stalled" ? { retryable: false, clear: true } : {}))
  },
  {
    fault: "takes a gateway's word for the service's",
    caughtBy: "goes on after a gateway's refusal",
    says: /a transfer goes on after a 50[23] .*\n {2}but it failed with Unavailable/,
    breaks: errors((error) => (error.reason._tag === "Unavailable" ? { retryable: false, clear: true } : {}))
  },
  {
    fault: "believes any answer, and does not look",
    caughtBy: "is not taken in by a success that is none",
    says: /the receipt says "stored", and there is no object/,
    breaks: sending(1)
  },
  {
    fault: "takes what it cannot know for a refusal",
    caughtBy: "finds out what became of a body whose answer was lost",
    says: /the loss of the answer to a body \((reset|close|hang)\).*\n {2}but it failed with /,
    breaks: errors((error) => (error.clear ? {} : { retryable: false, clear: true }))
  },
  {
    fault: "gives a body as much time as a small one takes",
    caughtBy: "bears a wire that is slow",
    says: /a wire on which bytes move is not given up|but it failed with Stalled/,
    breaks: session((same) => ({
      write: (body) =>
        Effect.timeoutOrElse(same.write(body), {
          duration: 400,
          orElse: () =>
            Effect.fail(StoreError.make("Stalled", { uri: "it", message: "slow", retryable: true, clear: false }))
        })
    }))
  },
  {
    fault: "proves what it has sent by what it has sent",
    caughtBy: "never proves bytes that were changed on the way",
    says: /a digest that the service has computed of what it holds\n {2}but the receipt says "verified"/,
    breaks: session((same) => {
      let sent: Digests | undefined
      return {
        write: (body) =>
          Effect.tap(same.write(body), () =>
            Effect.map(body.finalDigests ?? Effect.undefined, (digests) => {
              sent = digests
            })
          ),
        inspect: Effect.map(same.inspect, (found): Inspection =>
          found._tag === "Stored" && sent !== undefined
            ? { ...found, object: { ...found.object, digests: sent } }
            : found
        )
      }
    })
  }
]
