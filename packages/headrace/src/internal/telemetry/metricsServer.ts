/**
 * Serves what is counted as Prometheus text, on this machine alone.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"

export class PortError extends Data.TaggedError("PortError")<{ readonly message: string }> {}

const host = "127.0.0.1"

const wordsOf: Readonly<Record<string, string>> = {
  EADDRINUSE: "this port is taken; name another one, or 0 for any that is free",
  EACCES: "this port needs privileges; name one from 1024 on, or 0 for any that is free"
}

const listen = (server: Server, port: number): Effect.Effect<void, PortError> =>
  Effect.callback<void, PortError>((resume) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const words = wordsOf[error.code ?? ""] ?? error.message
      resume(Effect.fail(new PortError({ message: `--metrics ${port}: ${words}` })))
    })
    server.listen(port, host, () => resume(Effect.void))
  })

/** Until the scope ends. `say` is told where it is. */
export const serve = (port: number, say: (line: string) => void): Effect.Effect<void, PortError, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const server = createServer((request, response) => {
      request.resume()
      const text = { "content-type": "text/plain; charset=utf-8" }
      if (request.url?.split("?", 1)[0] !== "/metrics") return void response.writeHead(404, text).end("not found\n")
      if (request.method !== "GET" && request.method !== "HEAD") {
        return void response.writeHead(405, { ...text, allow: "GET, HEAD" }).end("write GET\n")
      }
      const body = PrometheusMetrics.formatUnsafe(context)
      response.writeHead(200, {
        "content-type": "text/plain; version=0.0.4; charset=utf-8",
        "content-length": Buffer.byteLength(body)
      })
      response.end(request.method === "HEAD" ? undefined : body)
    })
    yield* Effect.acquireRelease(listen(server, port), () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
    )
    say(`metrics: http://${host}:${(server.address() as AddressInfo).port}/metrics`)
  })
