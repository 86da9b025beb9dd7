/**
 * A web server as people write them: `node:http`, objects in memory, what it does not do switched off by the test.
 */
import { createHash } from "node:crypto"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

export interface Seen {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly trailers: NodeJS.Dict<string>
  readonly bytes: number
}

export interface Manner {
  /** Fields of each answer to HEAD and GET, made from what is stored. */
  readonly reports?: (bytes: Buffer) => Record<string, string>
  readonly etags?: boolean
  /** What is stored of a body. */
  readonly store?: (bytes: Buffer) => Buffer | undefined
  /** Stores also what came of a body that was cut. */
  readonly keepsCut?: boolean
  /** Answers instead of the server, when it gives true. The body is not read before. */
  readonly instead?: (request: http.IncomingMessage, response: http.ServerResponse) => boolean
  /** Answers a body that was stored (201 or 204). */
  readonly taken?: (response: http.ServerResponse, made: boolean) => void
}

export interface Web {
  readonly url: string
  readonly port: number
  readonly objects: Map<string, Buffer>
  readonly seen: Array<Seen>
  readonly methods: () => string
  readonly close: () => Promise<void>
}

export const base64 = (algorithm: string, bytes: Uint8Array): string =>
  createHash(algorithm).update(bytes).digest("base64")

export const etagOf = (bytes: Uint8Array): string => `"${createHash("md5").update(bytes).digest("hex")}"`

/** Reads the body, whoever waits for a `100 Continue`, and answers then. */
export const afterBody = (request: http.IncomingMessage, response: http.ServerResponse, answer: () => void): true => {
  if (request.headers.expect !== undefined) response.writeContinue()
  request.resume()
  request.on("end", answer)
  return true
}

export const start = async (manner: Manner = {}): Promise<Web> => {
  const objects = new Map<string, Buffer>()
  const seen: Array<Seen> = []

  const show = (request: http.IncomingMessage, response: http.ServerResponse, bytes: Buffer) => {
    response.setHeader("Accept-Ranges", "bytes")
    if (manner.etags === true) response.setHeader("ETag", etagOf(bytes))
    for (const [name, value] of Object.entries(manner.reports?.(bytes) ?? {})) response.setHeader(name, value)
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "")
    const from = range === null ? 0 : Number(range[1])
    if (range !== null && from >= bytes.length) {
      response.writeHead(416, { "Content-Range": `bytes */${bytes.length}` }).end()
      return
    }
    const to = range === null || range[2] === "" ? bytes.length : Number(range[2]) + 1
    const part = bytes.subarray(from, to)
    if (range !== null) response.setHeader("Content-Range", `bytes ${from}-${from + part.length - 1}/${bytes.length}`)
    response.writeHead(range === null ? 200 : 206, { "Content-Length": part.length })
    response.end(request.method === "HEAD" ? undefined : part)
  }

  const handle = (request: http.IncomingMessage, response: http.ServerResponse, asks: boolean) => {
    const path = request.url!.split("?")[0]!
    const record = { bytes: 0, trailers: {} as NodeJS.Dict<string> }
    seen.push(Object.assign(record, { method: request.method!, path: request.url!, headers: { ...request.headers } }))
    if (manner.instead?.(request, response) === true) return
    if (asks) response.writeContinue()
    const before = objects.get(path)
    switch (request.method) {
      case "HEAD":
      case "GET":
        if (before === undefined) response.writeHead(404).end()
        else show(request, response, before)
        return
      case "DELETE": {
        const match = request.headers["if-match"]
        const wrong = match !== undefined && before !== undefined && match !== etagOf(before)
        if (!wrong) objects.delete(path)
        response.writeHead(before === undefined ? 404 : wrong ? 412 : 204).end()
        return
      }
      default: {
        if (request.headers["if-none-match"] === "*" && before !== undefined) {
          response.writeHead(412).end()
          return
        }
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => {
          record.bytes += chunk.length
          chunks.push(chunk)
        })
        request.on("close", () => {
          if (!request.complete && manner.keepsCut === true) objects.set(path, Buffer.concat(chunks))
        })
        request.on("end", () => {
          record.trailers = request.trailers
          const bytes = Buffer.concat(chunks)
          const stored = manner.store === undefined ? bytes : manner.store(bytes)
          if (stored !== undefined) objects.set(path, stored)
          if (manner.etags === true) response.setHeader("ETag", etagOf(bytes))
          if (manner.taken !== undefined) manner.taken(response, before === undefined)
          else response.writeHead(before === undefined ? 201 : 204).end()
        })
      }
    }
  }
  const server = http.createServer((request, response) => handle(request, response, false))
  server.on("checkContinue", (request: http.IncomingMessage, response: http.ServerResponse) =>
    handle(request, response, true)
  )
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    objects,
    seen,
    methods: () => seen.map(({ method }) => method).join(" "),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
