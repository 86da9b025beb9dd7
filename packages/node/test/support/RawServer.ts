/**
 * A TCP server on a free port whose every byte the test decides, and what it needs to send bodies of blocks to it.
 */
import * as BlockPool from "@headrace/core/BlockPool"
import type { Block } from "@headrace/core/Block"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as net from "node:net"

export const MiB = 1024 * 1024

/** One connection, as the server sees it. */
export class Peer {
  readonly socket: net.Socket
  /** Which connection it is, from 1. */
  readonly number: number
  /** Everything that came. */
  received = Buffer.alloc(0)
  bytes = 0
  ended = false
  reset = false
  closedAt = 0
  keep = true
  #watchers: Array<() => void> = []

  constructor(socket: net.Socket, number: number) {
    this.socket = socket
    this.number = number
    socket.on("data", (chunk) => {
      this.bytes += chunk.byteLength
      if (this.keep) this.received = Buffer.concat([this.received, chunk])
      this.#tell()
    })
    socket.on("end", () => {
      this.ended = true
      this.#tell()
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET") this.reset = true
      this.#tell()
    })
    socket.on("close", () => {
      this.closedAt = performance.now()
      this.#tell()
    })
  }

  #tell() {
    for (const watcher of this.#watchers.splice(0)) watcher()
  }

  async until<A>(look: () => A | undefined | false): Promise<A> {
    while (true) {
      const found = look()
      if (found !== undefined && found !== false) return found
      if (this.socket.closed) throw new Error("the connection was closed")
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
  }

  /** Waits for a head, takes it off what was received, and gives it. */
  async head(): Promise<string> {
    const end = await this.until(() => {
      const at = this.received.indexOf("\r\n\r\n")
      return at < 0 ? undefined : at
    })
    const head = this.received.subarray(0, end).toString("latin1")
    this.received = this.received.subarray(end + 4)
    this.bytes = this.received.byteLength
    return head
  }

  /** Waits for so many bytes behind the head. */
  async body(length: number): Promise<Buffer> {
    await this.until(() => this.received.byteLength >= length)
    const body = this.received.subarray(0, length)
    this.received = this.received.subarray(length)
    return body
  }

  /** Waits for so many bytes without keeping them. */
  async swallow(length: number): Promise<void> {
    this.keep = false
    this.received = Buffer.alloc(0)
    await this.until(() => this.bytes >= length)
  }

  write(text: string): void {
    this.socket.write(text, "latin1")
  }

  answer(status: number, body = "", headers: Record<string, string> = {}): void {
    const lines = Object.entries({ "Content-Length": String(Buffer.byteLength(body)), ...headers })
    this.write(`HTTP/1.1 ${status} Whatever\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\n${body}`)
  }

  closed(): Promise<void> {
    return this.socket.closed ? Promise.resolve() : new Promise((resolve) => this.socket.once("close", () => resolve()))
  }
}

export interface RawServer {
  readonly port: number
  readonly url: string
  readonly peers: ReadonlyArray<Peer>
}

/** Listens until the scope closes. What the handler throws fails nobody: the test sees it by what did not happen. */
export const serve = (handle: (peer: Peer) => Promise<unknown>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ server: net.Server; peers: Array<Peer> }>((resume) => {
        const peers: Array<Peer> = []
        const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
          const peer = new Peer(socket, peers.length + 1)
          peers.push(peer)
          handle(peer).catch(() => {})
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, peers })))
      }),
      ({ peers, server }) =>
        Effect.callback<void>((resume) => {
          for (const peer of peers) peer.socket.destroy()
          server.close(() => resume(Effect.void))
        })
    ),
    ({ peers, server }): RawServer => {
      const { port } = server.address() as net.AddressInfo
      return { port, url: `http://127.0.0.1:${port}`, peers }
    }
  )

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** The byte that belongs at an offset. */
export const byteAt = (offset: number) => (offset * 31 + (offset >> 8)) & 0xff

/** A body of blocks of the given lengths, which reports when its scope closes. */
export const makeBody = (
  lengths: ReadonlyArray<number>,
  options?: { readonly onClose?: () => void; readonly fill?: boolean; readonly slowly?: number }
) => {
  let at = 0
  return Stream.mapEffect(Stream.fromIterable(lengths), (length) =>
    Effect.gen(function* () {
      const share = yield* BlockPool.BlockShare
      if (options?.slowly !== undefined) yield* Effect.sleep(options.slowly)
      const block: Block = (yield* share.take).setLength(length)
      const { bytes } = block
      for (let i = 0; options?.fill !== false && i < length; i++) bytes[i] = byteAt(at + i)
      at += length
      return block
    })
  ).pipe(
    Stream.ensuring(
      Effect.sync(() => {
        at = 0
        options?.onClose?.()
      })
    )
  )
}

/** Gives a share of a pool of its own, and looks that every block is back in the end. */
export const withBlocks = <A, E, R>(
  body: (pool: BlockPool.BlockPool["Service"]) => Effect.Effect<A, E, R>,
  blocks = 8
) =>
  Effect.gen(function* () {
    const pool = BlockPool.makeUnsafe({ bytes: blocks * MiB })
    const share = yield* pool.share(2)
    return yield* Effect.provideService(body(pool), BlockPool.BlockShare, share)
  })
