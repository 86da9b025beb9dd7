/**
 * A server between us and Swift that passes everything on, and does something at chosen moments: spoils a byte of a body,
 * or acts behind our back before a request goes on or its answer comes back.
 */
import { createServer, request as send, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { Transform } from "node:stream"

export interface Passing {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export interface Manner {
  /** Before it goes on. `spoil`: one byte of its body becomes another. */
  readonly before?: (request: Passing) => Promise<"spoil" | void> | "spoil" | void
  /** When Swift has answered, before we hear of it. */
  readonly after?: (request: Passing, status: number) => Promise<void> | void
  /** Spoils one byte of the answer's body. */
  readonly spoilsAnswer?: (request: Passing) => boolean
}

export interface Between {
  readonly url: string
  readonly seen: ReadonlyArray<Passing & { readonly status: number }>
  readonly close: () => Promise<void>
}

const spoiling = (): Transform => {
  let done = false
  return new Transform({
    transform: (chunk: Buffer, _, callback) => {
      if (!done && chunk.length > 0) {
        chunk = Buffer.from(chunk)
        chunk[0]! ^= 1
        done = true
      }
      callback(null, chunk)
    }
  })
}

export const start = async (target: string, manner: Manner): Promise<Between> => {
  const seen: Array<Passing & { readonly status: number }> = []
  const { hostname, port } = new URL(target)
  const server = createServer((request, response) => {
    const passing: Passing = { method: request.method ?? "", path: request.url ?? "", headers: request.headers }
    const pass = async () => {
      const what = await manner.before?.(passing)
      const { expect: _, ...headers } = request.headers
      const onward = send({ hostname, port, method: passing.method, path: passing.path, headers }, (answer) => {
        const status = answer.statusCode ?? 0
        void Promise.resolve(manner.after?.(passing, status)).then(() => {
          seen.push({ ...passing, status })
          response.writeHead(status, answer.headers)
          if (manner.spoilsAnswer?.(passing) === true) answer.pipe(spoiling()).pipe(response)
          else answer.pipe(response)
        })
      })
      onward.on("error", () => response.destroy())
      request.on("close", () => {
        if (!request.complete) onward.destroy()
      })
      if (what === "spoil") request.pipe(spoiling()).pipe(onward)
      else request.pipe(onward)
    }
    void pass()
  })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => void server.close(resolve))
    }
  }
}
