/**
 * Connections that wait for their next request. They do not keep the process alive. Some servers close a connection
 * after each answer without saying so (uWSGI's router does): at such an origin none is kept any more.
 */
import type { Socket } from "node:net"

/** As many as a few transfers' control calls need. */
const mostPerRoute = 8

/** A server that closes within this time of its answer does so after every answer. */
const silentCloseMs = 200

interface Idle {
  readonly socket: Socket
  readonly since: number
  readonly stop: () => void
}

export class Connections {
  readonly #idle = new Map<string, Array<Idle>>()
  readonly #closers = new Set<string>()
  #closed = false

  /** The connection that was used last. It may be dead without anybody knowing yet: then `foundDead` is called. */
  take(key: string): { readonly socket: Socket; readonly foundDead: () => void } | undefined {
    const found = this.#idle.get(key)?.pop()
    if (found === undefined) return undefined
    const idleMs = performance.now() - found.since
    found.stop()
    found.socket.ref()
    return { socket: found.socket, foundDead: () => this.#learn(key, idleMs) }
  }

  #learn(key: string, idleMs: number): void {
    if (idleMs < silentCloseMs) this.#closers.add(key)
  }

  keep(key: string, socket: Socket): void {
    const idle = this.#idle.get(key) ?? []
    this.#idle.set(key, idle)
    if (this.#closed || this.#closers.has(key) || idle.length >= mostPerRoute || !socket.writable) {
      socket.destroy()
      return
    }
    const since = performance.now()
    const drop = () => {
      stop()
      idle.splice(idle.indexOf(entry), 1)
      this.#learn(key, performance.now() - since)
      socket.destroy()
    }
    const events = ["end", "close", "error", "data"]
    const stop = () => events.forEach((event) => socket.off(event, drop))
    const entry: Idle = { socket, since, stop }
    events.forEach((event) => socket.on(event, drop))
    idle.push(entry)
    socket.unref()
  }

  close(): void {
    this.#closed = true
    for (const idle of this.#idle.values()) {
      for (const { socket, stop } of idle.splice(0)) {
        stop()
        socket.destroy()
      }
    }
  }
}
