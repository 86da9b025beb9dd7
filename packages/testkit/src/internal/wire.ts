/**
 * One accepted connection, read by demand. Bytes that arrive before somebody asks wait in a short queue, and the
 * socket is paused above that, so a reader that stops is felt by the peer as a closing TCP window.
 * The queue is handed out in the pieces that arrived: nothing is copied.
 */
import type { Socket } from "node:net"
import type { Accepted } from "./listen.ts"

/** How many bytes may wait unread before the socket is paused. */
const highWater = 256 * 1024

/** The peer reset the connection, or it was destroyed on our side. */
export class WireLost extends Error {
  override readonly name = "WireLost"
}

/** Nothing arrived for as long as the reader was willing to wait. */
export class WireTimeout extends Error {
  override readonly name = "WireTimeout"
}

export class Wire {
  readonly socket: Socket
  /** When the bytes that were read last had arrived, in ms of the process' monotonic clock. */
  arrivedAt = 0
  #queue: Array<Buffer> = []
  #arrivals: Array<number> = []
  #queued = 0
  #ended = false
  #lost: WireLost | undefined
  #wake: (() => void) | undefined
  #paused = false

  #raw: Socket

  constructor({ raw, socket }: Accepted) {
    this.socket = socket
    this.#raw = raw
    socket.on("data", (bytes: Buffer) => {
      this.#queue.push(bytes)
      this.#arrivals.push(performance.now())
      this.#queued += bytes.length
      if (this.#queued >= highWater && !this.#paused) {
        this.#paused = true
        socket.pause()
      }
      this.#notify()
    })
    socket.on("end", () => {
      this.#ended = true
      this.#notify()
    })
    socket.on("error", (cause) => {
      this.#lost ??= new WireLost(cause.message)
      this.#notify()
    })
    socket.on("close", () => {
      this.#lost ??= new WireLost("connection closed")
      this.#notify()
    })
  }

  get lost(): boolean {
    return this.#lost !== undefined
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #wait(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs > 0
          ? setTimeout(() => {
              this.#wake = undefined
              reject(new WireTimeout(`nothing arrived for ${timeoutMs} ms`))
            }, timeoutMs)
          : undefined
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** The next bytes, or `undefined` once the peer has finished sending. */
  async read(timeoutMs = 0): Promise<Buffer | undefined> {
    for (;;) {
      const bytes = this.#queue.shift()
      if (bytes !== undefined) {
        this.#queued -= bytes.length
        this.arrivedAt = this.#arrivals.shift() ?? 0
        if (this.#paused && this.#queued < highWater) {
          this.#paused = false
          this.socket.resume()
        }
        return bytes
      }
      if (this.#lost !== undefined) throw this.#lost
      if (this.#ended) return undefined
      if (this.#paused) {
        this.#paused = false
        this.socket.resume()
      }
      await this.#wait(timeoutMs)
    }
  }

  /** Takes nothing more from the kernel until somebody reads again. */
  hold(): void {
    this.#paused = true
    this.socket.pause()
  }

  /** Puts bytes back, to be read first. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#queue.unshift(bytes)
    this.#arrivals.unshift(this.arrivedAt)
    this.#queued += bytes.length
  }

  /** At most `limit` bytes up to and including `end`; `undefined` when the peer finishes first. */
  async readUntil(end: string, limit: number, timeoutMs = 0): Promise<Buffer | undefined> {
    let seen: Buffer = Buffer.alloc(0)
    for (;;) {
      const bytes = await this.read(timeoutMs)
      if (bytes === undefined) {
        this.unread(seen)
        return undefined
      }
      const from = Math.max(0, seen.length - end.length + 1)
      seen = seen.length === 0 ? bytes : Buffer.concat([seen, bytes])
      const at = seen.indexOf(end, from)
      if (at >= 0) {
        this.unread(seen.subarray(at + end.length))
        return seen.subarray(0, at + end.length)
      }
      if (seen.length > limit) throw new WireLost(`no end of line within ${limit} bytes`)
    }
  }

  /** Resolves when the bytes are with the kernel, or the connection is gone. */
  write(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed || !this.socket.writable) return resolve()
      this.socket.write(bytes, () => resolve())
    })
  }

  /** Says that nothing more will be sent; the peer may go on. */
  halfClose(): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) return resolve()
      this.socket.end(() => resolve())
    })
  }

  /** Closes as a process does that closes its descriptor: FIN, or RST when unread bytes are left. */
  close(): void {
    this.socket.destroy()
  }

  /** FIN after the last byte; what the peer still sends is thrown away until it is done too. */
  finish(): void {
    if (this.socket.destroyed) return
    this.socket.removeAllListeners("data")
    this.#queue.length = 0
    this.socket.resume()
    this.socket.end()
  }

  reset(): void {
    if (!this.#raw.destroyed) this.#raw.resetAndDestroy()
    this.socket.destroy()
  }
}
