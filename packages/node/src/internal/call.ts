/**
 * One request on one ready connection, by `node:http`: its header, the answer, `100 Continue`. A body is written by
 * somebody else, to the socket itself. The call owns the socket until the answer has been read whole; then the
 * connection is kept if both sides allow it.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Socket } from "node:net"
import { type ClientRequest, http, type IncomingMessage } from "./http.ts"
import { longestMs } from "./timers.ts"

/** What became of the request. */
export type Outcome =
  | { readonly _tag: "Answer"; readonly incoming: IncomingMessage }
  | { readonly _tag: "Lost"; readonly cause: unknown }
  | { readonly _tag: "Stalled" }

/** The rest of an answer that nobody reads is awaited for so long, to spare the connection. */
const drainMs = 100

export class Call {
  readonly socket: Socket
  readonly #request: ClientRequest
  readonly #onFree: () => void
  readonly #readBefore: number
  readonly #watchers = new Set<() => void>()
  #outcome: Outcome | undefined
  #ready = false
  #continued = false
  #ended = false
  #held = false
  #hold: "mine" | "handed back" | "ended" = "mine"
  /** Nothing reads the memory of a write any more. Node's own flag says so as soon as the closing begins. */
  #closed = false

  constructor(
    socket: Socket,
    options: {
      readonly method: string
      readonly path: string
      readonly headers: Readonly<Record<string, string>>
      /** Called when the connection can carry another request. */
      readonly onFree: () => void
    }
  ) {
    this.socket = socket
    this.#onFree = options.onFree
    this.#readBefore = socket.bytesRead
    const { headers, method, path } = options
    this.#request = http.request({ method, path, headers, createConnection: () => socket, setHost: false })
    // Node sees what the header says of the connection, but forgets it where the header has `Expect`.
    this.#request.shouldKeepAlive = true
    this.#request.once("response", (incoming) => {
      // Errors from now on are those of reading it; whoever reads finds them.
      incoming.on("error", () => {})
      this.#settle({ _tag: "Answer", incoming })
    })
    this.#request.on("error", (cause) => this.#settle({ _tag: "Lost", cause }))
    this.#request.once("continue", () => {
      this.#continued = true
      this.#tell()
    })
    // The request has its socket after this event, in the same turn.
    this.#request.once("socket", () =>
      process.nextTick(() => {
        this.#ready = true
        this.#tell()
      })
    )
    socket.once("free", this.#free)
    // A kept connection may have died before the request was put on it: then the request hears nothing.
    if (socket.destroyed) this.#lose()
    else socket.once("close", this.#lose)
  }

  readonly #free = () => {
    this.socket.off("close", this.#lose)
    if (this.#hold !== "mine") return
    this.#hold = "handed back"
    this.#onFree()
  }

  readonly #lose = () => {
    this.#settle({ _tag: "Lost", cause: undefined })
    // The writes that were under way are told of the closing in this turn, some of them after this.
    process.nextTick(() => {
      this.#closed = true
      this.#tell()
    })
  }

  #tell() {
    for (const watcher of this.#watchers) watcher()
  }

  #settle(outcome: Outcome) {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    this.#tell()
  }

  /** Waits until there is something to give. `start` has something else look too, and gives what ends that. */
  #watch<A>(look: () => A | undefined, start?: (check: () => void) => () => void): Effect.Effect<A> {
    return Effect.callback((resume) => {
      let stop: (() => void) | undefined
      let done = false
      const end = () => {
        done = true
        this.#watchers.delete(check)
        stop?.()
      }
      const check = () => {
        const found = done ? undefined : look()
        if (found === undefined) return
        end()
        resume(Effect.succeed(found))
      }
      this.#watchers.add(check)
      check()
      if (!done) stop = start?.(check)
      // It may have called back at once.
      if (done) stop?.()
      return Effect.sync(end)
    })
  }

  /** What is known already. */
  get outcome(): Outcome | undefined {
    return this.#outcome
  }

  /** Whether the server has said anything since the call began. */
  get heard(): boolean {
    return this.socket.bytesRead > this.#readBefore
  }

  /** Writes the header; bytes of the body may then be written to the socket. `held`: it waits for these until `flush`. */
  writeHeader(held: boolean): Effect.Effect<void> {
    return Effect.map(
      this.#watch(() => (this.#ready ? "Ready" : this.#outcome)),
      (found) => {
        if (found !== "Ready") return
        if (held) this.socket.cork()
        this.#held = held
        this.#request.flushHeaders()
      }
    )
  }

  /** Lets go what was held. */
  flush(): void {
    if (!this.#held) return
    this.#held = false
    this.socket.uncork()
  }

  /** Says that the body is complete, with the fields behind it. */
  end(trailers: Readonly<Record<string, string>>): void {
    this.#ended = true
    this.#request.addTrailers(trailers)
    this.#request.end()
  }

  /** Gives the request up for want of movement. */
  stall(): void {
    this.#settle({ _tag: "Stalled" })
  }

  /** Waits for what becomes of the request; gives nothing when that is not known in time. */
  settledWithin(ms: number): Effect.Effect<Outcome | undefined> {
    return Effect.suspend(() => {
      let late = false
      return this.#watch(
        () => this.#outcome ?? (late ? "Late" : undefined),
        (check) => {
          const timer = setTimeout(
            () => {
              late = true
              check()
            },
            Math.min(ms, longestMs)
          )
          return () => clearTimeout(timer)
        }
      )
    }).pipe(Effect.map((found) => (found === "Late" ? undefined : found)))
  }

  /** Waits for what becomes of the request, or for the end of a fiber that works on it; gives nothing at its end. */
  settledBefore(working: Fiber.Fiber<unknown, unknown>): Effect.Effect<Outcome | undefined> {
    return Effect.suspend(() => {
      let ended = false
      return this.#watch(
        () => this.#outcome ?? (ended ? "Ended" : undefined),
        (check) =>
          working.addObserver(() => {
            ended = true
            check()
          })
      )
    }).pipe(Effect.map((found) => (found === "Ended" ? undefined : found)))
  }

  /** Waits for `100 Continue`, or for what becomes of the request without it. */
  readonly continued: Effect.Effect<Outcome | "Continue"> = Effect.suspend(() =>
    this.#watch(() => (this.#continued ? "Continue" : this.#outcome))
  )

  /** Ends the connection now: what is not sent yet never will be. */
  abort(): void {
    if (this.#hold !== "mine") return
    this.#hold = "ended"
    // A reset stops also what the kernel holds, and no server can take it for the end of the body. Node's own
    // `resetAndDestroy` would first wait for the writes; TLS has no such thing, but there an end has to be announced.
    if (!this.#ended && !this.socket.writableEnded && !("encrypted" in this.socket)) {
      Object.assign(this.socket, { resetAndClosing: true })
    }
    this.socket.destroy()
  }

  /** Ends the connection, if the call still has it, and waits until nothing reads the memory of its writes any more. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.abort()
    return this.#hold === "ended" ? Effect.asVoid(this.#watch(() => this.#closed || undefined)) : Effect.void
  })

  /** Lets the connection go: it is kept when the rest of the answer is short and here, else it ends. */
  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    const outcome = this.#outcome
    if (this.#hold !== "mine" || outcome?._tag !== "Answer" || !this.#ended || !this.#request.shouldKeepAlive) {
      return this.close
    }
    return Effect.callback<void>((resume) => {
      const timer = setTimeout(() => done(), drainMs)
      const done = () => {
        clearTimeout(timer)
        this.socket.off("free", done)
        this.socket.off("close", done)
        resume(this.close)
      }
      this.socket.once("free", done)
      this.socket.once("close", done)
      outcome.incoming.resume()
    })
  })
}
