/**
 * One connection of the fault server: the primitives that scripts are made of, and the record of what came.
 */
import { createHash, type Hash } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import { Body, type Framing } from "./httpBody.ts"
import { formatHead, type Head, type HeaderList, readHead } from "./httpHead.ts"
import type { Wire } from "./wire.ts"

/**
 * A request as it came. Changes while its body is being read.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestRecord {
  /** Which connection it came on, from 1. */
  readonly connection: number
  readonly method: string
  /** With the query, as sent. */
  readonly path: string
  /** Names in lower case; repeated fields joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly framing: Framing
  /** The Content-Length, where that is the framing. */
  readonly declared: number | undefined
  /** Body bytes read so far, without framing. */
  readonly bodyBytes: number
  /** Whether the end of the body was seen. */
  readonly complete: boolean
  /** SHA-512 in hex of the body bytes read so far; empty when digests are off. */
  readonly sha512: string
  readonly chunks: number
  /** Bytes of the largest HTTP chunk. */
  readonly largestChunk: number
  /** Arrivals in ms of the process' monotonic clock; 0 before there was any. */
  readonly firstByteAt: number
  readonly lastByteAt: number
  /** The longest time in ms between two arrivals of body bytes. */
  readonly largestGapMs: number
}

/**
 * What a handler does with a connection.
 *
 * @since 0.1.0
 * @category models
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionRecord {
  /** From 1. */
  readonly number: number
  readonly requests: ReadonlyArray<RequestRecord>
  /** Raw bytes that came, heads and framing too. */
  readonly bytesRead: number
  /** Whether the connection is closed by now. */
  readonly closed: boolean
  /** What kept the script from its end: mostly a peer that went away. */
  failure: Error | undefined
}

export interface Connection {
  readonly number: number
  /** The next request's head. Throws when the peer is done. */
  readonly readHead: () => Promise<RequestRecord>
  /** Exactly so many body bytes, or all. Throws when the peer is done before. */
  readonly readBody: (bytes?: number) => Promise<void>
  readonly trickle: (options: {
    readonly bytes: number
    readonly everyMs: number
    readonly total?: number
  }) => Promise<void>
  readonly send: (bytes: Uint8Array | string) => Promise<void>
  readonly respond: (status: number, headers?: HeaderList, body?: string | Uint8Array) => Promise<void>
  readonly sendContinue: () => Promise<void>
  readonly wait: (ms: number) => Promise<void>
  /** Takes nothing from the kernel. */
  readonly stall: (ms?: number) => Promise<void>
  readonly halfClose: () => Promise<void>
  readonly close: () => Promise<void>
  readonly reset: () => Promise<void>
  /** Until the peer closes, or the server. What comes is thrown away. */
  readonly idle: () => Promise<void>
}

interface Making {
  readonly wire: Wire
  readonly number: number
  readonly closing: Promise<void>
  readonly digest: boolean
  readonly onRequest: (request: RequestRecord) => void
}

interface Current {
  readonly body: Body
  readonly hash: Hash | undefined
}

const rules = { timeoutMs: 0, maxChunk: Number.MAX_SAFE_INTEGER, badChunk: "error" } as const

const makeRecord = (number: number, head: Head, { body, hash }: Current): RequestRecord => ({
  connection: number,
  method: head.method,
  path: head.target,
  headers: head.headers,
  framing: body.framing,
  declared: body.declared,
  get bodyBytes() {
    return body.bytes
  },
  get complete() {
    return body.done
  },
  get sha512() {
    return hash?.copy().digest("hex") ?? ""
  },
  get chunks() {
    return body.chunks
  },
  get largestChunk() {
    return body.largestChunk
  },
  get firstByteAt() {
    return body.firstAt
  },
  get lastByteAt() {
    return body.lastAt
  },
  get largestGapMs() {
    return body.largestGapMs
  }
})

const answerBytes = (status: number, headers: HeaderList, body: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(body)
  const framed = headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name))
  const all: HeaderList = framed ? headers : [["Content-Length", String(bytes.length)], ...headers]
  return Buffer.concat([Buffer.from(formatHead(status, all), "latin1"), bytes])
}

export const makeConnection = ({ closing, digest, number, onRequest, wire }: Making) => {
  const requests: Array<RequestRecord> = []
  let current: Current | undefined
  const record: ConnectionRecord = {
    number,
    requests,
    get bytesRead() {
      return wire.socket.bytesRead
    },
    get closed() {
      return wire.socket.destroyed
    },
    failure: undefined
  }
  const body = (): Current => {
    if (current === undefined) throw new Error("no request head was read yet")
    return current
  }
  const read = async (max: number): Promise<number> => {
    const { body: reader, hash } = body()
    const piece = await reader.read(max)
    if (piece === undefined) return 0
    hash?.update(piece)
    return piece.length
  }
  const connection: Connection = {
    number,
    readHead: async () => {
      const head = await readHead(wire)
      if (head === undefined) throw new Error("the peer was done before a request")
      current = { body: new Body(wire, head, rules), hash: digest ? createHash("sha512") : undefined }
      const request = makeRecord(number, head, current)
      requests.push(request)
      onRequest(request)
      return request
    },
    readBody: async (bytes = Number.POSITIVE_INFINITY) => {
      for (let left = bytes; left > 0;) {
        const got = await read(left)
        if (got === 0) break
        left -= got
      }
    },
    trickle: async ({ bytes, everyMs, total = Number.POSITIVE_INFINITY }) => {
      for (let left = total; left > 0;) {
        const got = await read(Math.min(bytes, left))
        if (got === 0) break
        left -= got
        wire.hold()
        await sleep(everyMs)
      }
    },
    send: (bytes) => wire.write(bytes),
    respond: (status, headers = [], content = "") => wire.write(answerBytes(status, headers, content)),
    sendContinue: () => wire.write(formatHead(100, [])),
    wait: (ms) => sleep(ms),
    stall: async (ms) => {
      wire.hold()
      await (ms === undefined ? closing : Promise.race([closing, sleep(ms)]))
    },
    halfClose: () => wire.halfClose(),
    close: async () => wire.close(),
    reset: async () => wire.reset(),
    idle: async () => {
      while ((await wire.read()) !== undefined);
    }
  }
  return { connection, record }
}
