/**
 * A small service that takes objects in parts over HTTP, and its adapter: uploads have ids that the client chooses, so
 * that a lost answer leaves nothing unknown.
 *
 *     PUT    /uploads/ID?key=KEY      begins, or finds it begun
 *     GET    /uploads/ID              the parts: [{ number, length, tag }]
 *     PUT    /uploads/ID/parts/N      takes one; the answer is its tag
 *     POST   /uploads/ID/finish       { parts: [{ number, tag }] }: makes the object, if it has not made it
 *     DELETE /uploads/ID
 *     GET    /uploads?key=KEY         the ids of those that are not finished
 *     GET, HEAD, DELETE /objects/KEY  with Repr-Digest, and X-Upload: who has made it
 */
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Inspection, PartsSession, Store } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { type Request, type Response, Transport, TransportError } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const hash = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest()

export interface Shelf {
  readonly port: number
  readonly objects: Map<string, { readonly bytes: Buffer; readonly upload: string }>
  readonly uploads: Map<string, { readonly key: string; readonly parts: Map<number, Buffer> }>
  readonly close: () => Promise<void>
}

const tagOf = (bytes: Uint8Array) => hash("md5", bytes).toString("hex")

export const start = async (): Promise<Shelf> => {
  const objects: Shelf["objects"] = new Map()
  const uploads: Shelf["uploads"] = new Map()

  const answer = (
    method: string,
    url: URL,
    body: Buffer
  ): readonly [number, string | Buffer, Record<string, string>?] => {
    const [, kind, name = "", what, number] = url.pathname.split("/")
    const key = url.searchParams.get("key") ?? ""
    if (kind === "objects") {
      const object = objects.get(decodeURIComponent(name))
      if (object === undefined) return [404, ""]
      if (method === "DELETE") {
        objects.delete(decodeURIComponent(name))
        return [204, ""]
      }
      const digest = `sha-256=:${hash("sha256", object.bytes).toString("base64")}:`
      return [200, object.bytes, { "repr-digest": digest, "x-upload": object.upload }]
    }
    if (name === "") return [200, JSON.stringify([...uploads].flatMap(([id, one]) => (one.key === key ? [id] : [])))]
    const upload = uploads.get(name)
    if (method === "PUT" && what === undefined) {
      if (upload === undefined) uploads.set(name, { key, parts: new Map() })
      return [204, ""]
    }
    if (what === "finish" && [...objects.values()].some((object) => object.upload === name)) return [204, ""]
    if (method === "DELETE") return [uploads.delete(name) ? 204 : 404, ""]
    if (upload === undefined) return [404, ""]
    if (what === "parts") {
      upload.parts.set(Number(number), body)
      return [200, tagOf(body)]
    }
    if (what === "finish") {
      const { parts } = JSON.parse(body.toString()) as { parts: ReadonlyArray<{ number: number; tag: string }> }
      const chunks = parts.map(({ number, tag }) => {
        const chunk = upload.parts.get(number)
        return chunk !== undefined && tagOf(chunk) === tag ? chunk : undefined
      })
      if (chunks.includes(undefined)) return [409, ""]
      objects.set(upload.key, { bytes: Buffer.concat(chunks as Array<Buffer>), upload: name })
      uploads.delete(name)
      return [204, ""]
    }
    const there = [...upload.parts].map(([number, bytes]) => ({ number, length: bytes.length, tag: tagOf(bytes) }))
    return [200, JSON.stringify(there)]
  }

  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const [status, body, headers] = answer(
        request.method!,
        new URL(request.url!, "http://shelf"),
        Buffer.concat(chunks)
      )
      response.writeHead(status, { ...headers, ...(status === 204 ? {} : { "content-length": body.length }) })
      response.end(request.method === "HEAD" || status === 204 ? undefined : body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    port: (server.address() as AddressInfo).port,
    objects,
    uploads,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

export const limits = { minBytes: 1, maxBytes: 1024 * 1024, maxParts: 1000, inFlight: 4 }

interface Options {
  readonly address: { readonly host: string; readonly port: number }
  readonly key: string
  /** Whether an upload has one id, however often it is begun. */
  readonly keepsId?: boolean
}

/** The store of one object. */
export const object = ({ address, keepsId = true, key }: Options): Store<Transport, PartsSession> => {
  const base = `http://${address.host}:${address.port}`
  const uri = `shelf:${key}`
  const place = `/objects/${encodeURIComponent(key)}`

  const lost = (error: TransportError) =>
    StoreError.make(error.reason._tag, { uri, message: error.message, retryable: true, clear: false, cause: error })

  const call = <A, E = never, R = never>(
    request: Omit<Request<E, R>, "url" | "headers"> & { readonly path: string },
    read: (answer: Response) => Effect.Effect<A, TransportError>
  ): Effect.Effect<A | undefined, StoreError.StoreError | E, R | Transport> =>
    Effect.scoped(
      Effect.gen(function* () {
        const transport = yield* Transport
        const { path, ...rest } = request
        const told = (error: TransportError | E): StoreError.StoreError | E =>
          error instanceof TransportError ? lost(error) : error
        const answer = yield* Effect.mapError(
          transport.send<E, R>({ ...rest, url: base + path, headers: {} } as Request<E, R>),
          told
        )
        if (answer.status === 404) return undefined
        if (answer.status < 300 && !answer.early) return yield* Effect.mapError(read(answer), lost)
        const away = answer.status >= 500 || answer.early
        const seconds = Number(answer.headers["retry-after"])
        return yield* StoreError.make(away ? "Unavailable" : "Rejected", {
          uri,
          message: `the shelf answered ${answer.status}`,
          status: answer.status,
          retryable: away,
          clear: !away,
          ...(seconds > 0 ? { retryAfterMs: seconds * 1000 } : undefined)
        })
      })
    )
  const ended = () => Effect.void

  const open = Effect.map(Transport, (transport): PartsSession => {
    const own = <A, E>(effect: Effect.Effect<A, E, Transport>) => Effect.provideService(effect, Transport, transport)
    let id: string | undefined

    const found = Effect.gen(function* () {
      const head = yield* call({ method: "HEAD", path: place }, (answer) => Effect.succeed(answer.headers))
      if (id !== undefined && head?.["x-upload"] === id) return { stored: head, open: false }
      const there =
        id === undefined ? false : yield* call({ method: "GET", path: `/uploads/${id}` }, () => Effect.succeed(true))
      return { stored: undefined, open: there === true }
    })
    const left = Effect.suspend(() => found).pipe(
      Effect.map((now) => (now.stored !== undefined ? `object ${uri}` : now.open ? `upload ${id} of ${uri}` : "none")),
      Effect.catch(() => Effect.succeed(`unknown ${uri}`))
    )
    const discard = Effect.gen(function* () {
      if (id === undefined) return "none"
      if ((yield* found).stored !== undefined) yield* call({ method: "DELETE", path: place }, ended)
      yield* call({ method: "DELETE", path: `/uploads/${id}` }, ended)
      return "none"
    }).pipe(Effect.catch(() => Effect.succeed(`unknown ${uri}`)))
    const begin = Effect.suspend(() => {
      if (id === undefined || !keepsId) id = crypto.randomUUID()
      return call({ method: "PUT", path: `/uploads/${id}?key=${encodeURIComponent(key)}` }, ended)
    })

    return {
      shape: "parts",
      limits,
      partDigests: [],
      wanted: ["sha256"],
      begin: own(begin),
      inspect: own(
        Effect.map(found, (now): Inspection => {
          if (now.stored === undefined) return { _tag: now.open ? "Ready" : "Absent" }
          const digest = /sha-256=:(.*):/.exec(now.stored["repr-digest"] ?? "")?.[1] ?? ""
          const digests = { sha256: Buffer.from(digest, "base64").toString("hex") }
          return { _tag: "Stored", object: { id: key, size: Number(now.stored["content-length"]), digests } }
        })
      ),
      checkPlace: () => Effect.void,
      recreate: own(
        Effect.andThen(discard, () => {
          id = undefined
          return begin
        })
      ),
      owned: Effect.succeed(true),
      location: Effect.succeed(uri),
      discard: own(discard),
      left: own(left),
      seal: Effect.void,
      read: Stream.unwrap(
        own(
          Effect.map(
            Effect.result(
              Effect.scoped(
                Effect.flatMap(transport.send({ method: "GET", url: base + place, headers: {} }), (answer) =>
                  Stream.runCollect(answer.stream)
                )
              )
            ),
            (result) =>
              result._tag === "Success" ? Stream.fromIterable(result.success) : Stream.fail(lost(result.failure))
          )
        )
      ),
      notes: Effect.succeed([]),
      writePart: ({ answerMs, length, number, onSent, stallMs, stream }) =>
        Effect.provideService(
          Effect.flatMap(
            call(
              {
                method: "PUT",
                path: `/uploads/${id}/parts/${number}`,
                body: { _tag: "Blocks", stream, length },
                stallMs,
                answerMs,
                onSent
              },
              (answer) => answer.text
            ),
            (tag) =>
              tag === undefined
                ? Effect.fail(StoreError.make("NotFound", { uri, message: "there is no such upload" }))
                : Effect.succeed(tag)
          ),
          Transport,
          transport
        ) as never,
      finish: ({ answerMs, parts }) => {
        const bytes = new TextEncoder().encode(JSON.stringify({ parts }))
        const request = {
          method: "POST",
          path: `/uploads/${id}/finish`,
          body: { _tag: "Bytes", bytes },
          answerMs
        } as const
        return own(
          Effect.flatMap(
            call(request, () => Effect.succeed(true)),
            (done) =>
              done === true
                ? Effect.void
                : Effect.fail(StoreError.make("NotFound", { uri, message: "there is no such upload" }))
          )
        )
      },
      resumption: {
        token: Effect.sync(() => id ?? ""),
        resume: (token, _noted, { partBytes }) =>
          own(
            Effect.map(
              call({ method: "GET", path: `/uploads/${token}` }, (answer) => answer.text),
              (text) => {
                if (text === undefined) return undefined
                id = token
                const there = JSON.parse(text) as ReadonlyArray<{ number: number; length: number; tag: string }>
                return there.map(({ length, number, tag }) => ({
                  number,
                  offset: (number - 1) * partBytes,
                  length,
                  tag,
                  digests: {}
                }))
              }
            )
          )
      }
    }
  })

  return {
    uri,
    capabilities: Effect.succeed({
      shape: "parts",
      maxObjectBytes: undefined,
      reports: ["sha256"],
      rangedRead: false,
      needsSize: false,
      sharedMemory: true,
      parts: limits,
      unfinished: { list: true, abort: true, resume: true },
      places: [],
      learnt: {},
      details: {}
    }),
    plan: () => Effect.succeed({ action: "create", why: "a new object" }),
    open: () => open,
    unfinished: Stream.unwrap(
      Effect.map(
        call({ method: "GET", path: `/uploads?key=${encodeURIComponent(key)}` }, (answer) => answer.text),
        (text) =>
          Stream.fromIterable(
            (JSON.parse(text ?? "[]") as ReadonlyArray<string>).map((token) => ({
              token,
              uri,
              startedAt: undefined,
              bytes: undefined
            }))
          )
      )
    ),
    abort: (token) => call({ method: "DELETE", path: `/uploads/${token}` }, ended)
  }
}
