/**
 * Makes a connection that is ready for a request: the name looked up, TCP, the proxy's tunnel, TLS. Whatever was opened
 * is closed again when a step fails or the whole is interrupted.
 */
import * as Effect from "effect/Effect"
import * as net from "node:net"
import { http } from "./http.ts"
import { describe } from "./messages.ts"
import { writePatiently } from "./patience.ts"
import { bareHost, portOf, type Proxy } from "./proxy.ts"
import type { Trust } from "./trust.ts"

/** All of it together may take so long. */
const connectMs = 30_000

/** So a firewall on the way keeps the connection while a store thinks about its answer for minutes. */
const keepAliveMs = 30_000

export interface Route {
  readonly url: URL
  readonly proxy: Proxy | undefined
  /** For `https:` URLs. */
  readonly trust: Trust | undefined
}

/** Why there is no connection; one line. */
export interface Unreachable {
  readonly message: string
  readonly cause: unknown
}

/** Two routes with the same key may share a connection. */
export const routeKey = ({ proxy, trust, url }: Route): string =>
  [url.protocol, url.host, trust?.key, proxy?.secure, proxy?.host, proxy?.port, proxy?.authorization].join(" ")

/** Whether requests name the whole URL, as a proxy wants it that is not only a tunnel. */
export const isForwarded = (route: Route): boolean => route.proxy !== undefined && route.url.protocol === "http:"

const nameOf = (host: string, port: number) => `${net.isIPv6(host) ? `[${host}]` : host}:${port}`

const dial = (host: string, port: number, opened: Array<net.Socket>): Effect.Effect<net.Socket, Unreachable> =>
  Effect.callback((resume) => {
    const socket = net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs })
    opened.push(socket)
    socket.once("connect", () => resume(Effect.succeed(socket)))
    socket.on("error", (cause) => resume(Effect.fail({ message: `${nameOf(host, port)}: ${describe(cause)}`, cause })))
  })

const secure = (
  socket: net.Socket,
  host: string,
  name: string,
  trust: Trust | undefined,
  opened: Array<net.Socket>
): Effect.Effect<net.Socket, Unreachable> =>
  Effect.flatMap(
    // Loaded when it is needed: it would cost every start of a program.
    Effect.promise(() => import("node:tls")),
    (tls) =>
      Effect.callback((resume) => {
        const secured = tls.connect({
          socket,
          host,
          ALPNProtocols: ["http/1.1"],
          // Said either way: the environment must not be able to turn the check off.
          rejectUnauthorized: trust?.verify ?? true,
          ...(trust === undefined ? undefined : { secureContext: trust.context }),
          ...(net.isIP(host) === 0 ? { servername: host } : undefined)
        })
        opened.push(secured)
        secured.once("secureConnect", () => resume(Effect.succeed(secured)))
        const failed = (cause?: unknown) =>
          resume(
            Effect.fail({
              message: `${name}: ${cause === undefined ? "the connection was closed during the TLS handshake" : describe(cause)}`,
              cause
            })
          )
        secured.on("error", failed)
        secured.once("close", () => failed())
      })
  )

/** Asks the proxy for a connection to the server (RFC 9110 §9.3.6). */
const tunnel = (
  socket: net.Socket,
  proxyName: string,
  target: string,
  authorization: string | undefined
): Effect.Effect<net.Socket, Unreachable> =>
  Effect.callback((resume) => {
    const failed = (message: string, cause?: unknown) =>
      resume(Effect.fail({ message: `proxy ${proxyName}: ${message}`, cause }))
    const request = http.request({
      createConnection: () => socket,
      method: "CONNECT",
      path: target,
      setHost: false,
      headers: { host: target, ...(authorization === undefined ? undefined : { "proxy-authorization": authorization }) }
    })
    request.once("connect", (answer, _socket, head) => {
      if (answer.statusCode !== 200) {
        const asks = answer.statusCode === 407 ? " (it wants other credentials)" : ""
        return failed(`it refused a connection to ${target} with status ${answer.statusCode}${asks}`)
      }
      if (head.byteLength > 0) socket.unshift(head)
      resume(Effect.succeed(socket))
    })
    request.on("error", (cause) => failed(describe(cause), cause))
    request.end()
  })

/** A connection of its own, ready to be written to. */
export const connect = (route: Route): Effect.Effect<net.Socket, Unreachable> =>
  Effect.suspend(() => {
    const { proxy, trust, url } = route
    const host = bareHost(url.hostname)
    const name = nameOf(host, portOf(url))
    const opened: Array<net.Socket> = []
    return Effect.gen(function* () {
      let socket: net.Socket
      if (proxy === undefined) {
        socket = yield* dial(host, portOf(url), opened)
      } else {
        const proxyName = nameOf(proxy.host, proxy.port)
        socket = yield* Effect.mapError(dial(proxy.host, proxy.port, opened), (error) => ({
          ...error,
          message: `proxy ${error.message}`
        }))
        if (proxy.secure) socket = yield* secure(socket, proxy.host, `proxy ${proxyName}`, undefined, opened)
        if (!isForwarded(route)) socket = yield* tunnel(socket, proxyName, name, proxy.authorization)
      }
      if (trust !== undefined) socket = yield* secure(socket, host, name, trust, opened)
      return writePatiently(socket)
    }).pipe(
      Effect.timeoutOrElse({
        duration: connectMs,
        orElse: () => Effect.fail({ message: `${name}: no connection within ${connectMs / 1000} s`, cause: undefined })
      }),
      Effect.onError(() => Effect.sync(() => opened.forEach((socket) => socket.destroy())))
    )
  })
