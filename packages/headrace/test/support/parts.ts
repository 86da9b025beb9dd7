/**
 * A proxy in front of a store that takes objects as parts: it hands every request on, and remembers which parts were sent
 * and which of them the client was told are taken.
 */
import { createServer, request as send, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"

/** One time that a part was sent, or begun to be. */
export interface Sending {
  /** Of the upload and of the part in it. */
  readonly key: string
  /** Body bytes that the client gave. */
  bytes: number
  /** The success was handed to the client. */
  taken: boolean
}

export interface Parts {
  readonly url: string
  readonly sendings: ReadonlyArray<Sending>
  readonly close: () => void
}

/** `partOf` names the part that a request sends, if it sends one. */
export const proxy = async (
  target: string,
  partOf: (request: IncomingMessage) => string | undefined
): Promise<Parts> => {
  const { hostname, port } = new URL(target)
  const sendings: Array<Sending> = []
  const server = createServer((request, response) => {
    const key = partOf(request)
    const sending = key === undefined ? undefined : { key, bytes: 0, taken: false }
    if (sending !== undefined) sendings.push(sending)
    request.on("data", (chunk: Buffer) => {
      if (sending !== undefined) sending.bytes += chunk.byteLength
    })
    const onward = send(
      { hostname, port, method: request.method, path: request.url, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
        response.on("finish", () => {
          if (sending !== undefined && answer.statusCode! < 300) sending.taken = true
        })
      }
    )
    // A client that is killed takes what it has begun with it.
    request.on("close", () => {
      if (!request.complete) onward.destroy()
    })
    onward.on("error", () => response.destroy())
    request.pipe(onward)
  })
  server.on("checkContinue", (request, response) => {
    response.writeContinue()
    server.emit("request", request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sendings,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

/** Bytes that can be read from any offset, over HTTP, with the offsets that were asked for. */
export const origin = async (bytes: Uint8Array) => {
  const offsets: Array<number> = []
  const server = createServer((request, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0)
    const fields = { etag: '"one"', "accept-ranges": "bytes", "content-length": bytes.byteLength - from }
    if (request.method === "GET") offsets.push(from)
    if (request.headers.range === undefined) response.writeHead(200, fields)
    else {
      const range = `bytes ${from}-${bytes.byteLength - 1}/${bytes.byteLength}`
      response.writeHead(206, { ...fields, "content-range": range })
    }
    response.end(request.method === "HEAD" ? undefined : bytes.subarray(from))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.raw`,
    offsets,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}
