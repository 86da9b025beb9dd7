/**
 * A listening socket, plain or TLS, that knows its connections and can end them all.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { createSecureContext, TLSSocket } from "node:tls"

export interface Listening {
  readonly host: string
  readonly port: number
  /** Connections that are open. */
  readonly open: () => number
  /** Resolves when no connection is open. */
  readonly idle: () => Promise<void>
  /** Cuts every connection with a reset, as a killed process does. */
  readonly resetAll: () => void
  readonly close: () => Promise<void>
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  readonly tls?: { readonly key: string; readonly cert: string } | undefined
  /** `number` counts connections from 1; `closing` resolves when the server is told to close. */
  readonly onSocket: (accepted: Accepted, number: number, closing: Promise<void>) => void
}

export interface Accepted {
  /** What is read and written. */
  readonly socket: Socket
  /** The TCP connection under it: under TLS only that one can be reset. */
  readonly raw: Socket
}

export const listen = (options: ListenOptions): Promise<Listening> =>
  new Promise((resolve, reject) => {
    const sockets = new Set<Socket>()
    const waiting: Array<() => void> = []
    const stop = Promise.withResolvers<void>()
    let count = 0
    const secureContext = options.tls === undefined ? undefined : createSecureContext(options.tls)
    const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
      sockets.add(raw)
      raw.on("error", () => {})
      raw.on("close", () => {
        sockets.delete(raw)
        if (sockets.size === 0) for (const wake of waiting.splice(0)) wake()
      })
      const socket = secureContext === undefined ? raw : new TLSSocket(raw, { isServer: true, secureContext })
      options.onSocket({ socket, raw }, ++count, stop.promise)
    })
    server.once("error", reject)
    server.listen(options.port, options.host, () => {
      server.off("error", reject)
      resolve({
        host: options.host,
        port: (server.address() as AddressInfo).port,
        open: () => sockets.size,
        idle: () => new Promise((done) => (sockets.size === 0 ? done() : void waiting.push(done))),
        resetAll: () => {
          for (const socket of sockets) socket.resetAndDestroy()
        },
        close: () =>
          new Promise((done) => {
            stop.resolve()
            server.close(() => done())
            for (const socket of sockets) socket.destroy()
          })
      })
    })
  })
