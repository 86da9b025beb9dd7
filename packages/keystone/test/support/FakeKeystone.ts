/**
 * A Keystone on a loopback port that does what a test tells it to. Without a script it answers as a real one: a versions
 * document, tokens `token-1`, `token-2`, ... for the password `right-password`.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface FakeKeystone {
  /** Without a path. */
  readonly url: string
  readonly requests: Array<Request>
  /** How many tokens were asked for. */
  readonly asked: () => number
  /** Decides about a request; `undefined` leaves it to the ordinary answers, "hang" gives none. */
  script: (request: Request) => Reply | "hang" | "reset" | undefined
  tokenSeconds: number
  catalog: ReadonlyArray<unknown>
}

export const imageService = (...endpoints: ReadonlyArray<readonly [string, string, string]>) => ({
  type: "image",
  name: "glance",
  endpoints: endpoints.map(([interface_, region, url]) => ({ interface: interface_, region, region_id: region, url }))
})

export const json = (status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(value)
})

export const unauthorized = json(401, {
  error: { code: 401, title: "Unauthorized", message: "The request you have made requires authentication." }
})

export const make: Effect.Effect<FakeKeystone, never, Scope.Scope> = Effect.gen(function* () {
  const server = createServer()
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.promise(
        () =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            server.closeAllConnections()
          })
      )
  )
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const requests: Array<Request> = []
  const asked = () => requests.filter(({ method, path }) => method === "POST" && path.endsWith("/auth/tokens")).length
  const keystone: FakeKeystone = {
    url,
    requests,
    asked,
    script: () => undefined,
    tokenSeconds: 3600,
    catalog: [imageService(["public", "RegionOne", "http://glance.example:9292"])]
  }

  const ordinary = (request: Request): Reply => {
    if (request.path === "/" || request.path === "/v3") {
      const links = [{ rel: "self", href: `${url}/v3/` }]
      return json(300, { versions: { values: [{ id: "v3.14", status: "stable", links }] } })
    }
    if (!request.path.endsWith("/v3/auth/tokens")) return json(404, { error: { message: "no such page" } })
    if (request.method === "POST" && /"password":"(?!right-password")/.test(request.body)) return unauthorized
    const now = Date.now()
    return json(
      request.method === "POST" ? 201 : 200,
      {
        token: {
          issued_at: new Date(now).toISOString(),
          expires_at: new Date(now + keystone.tokenSeconds * 1000).toISOString(),
          user: { id: "user-id", name: "demo" },
          project: { id: "project-id", name: "demo", domain: { id: "default", name: "Default" } },
          catalog: keystone.catalog
        }
      },
      request.method === "POST" ? { "x-subject-token": `token-${asked()}` } : {}
    )
  }

  const send = (response: ServerResponse, reply: Reply): void => {
    response.writeHead(reply.status, { ...reply.headers })
    response.end(reply.body ?? "")
  }

  server.on("request", (incoming, response) => {
    const chunks: Array<Buffer> = []
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
    incoming.on("end", () => {
      const request: Request = {
        method: incoming.method ?? "",
        path: incoming.url ?? "",
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString()
      }
      requests.push(request)
      const reply = keystone.script(request)
      if (reply === "hang") return
      if (reply === "reset") incoming.socket.destroy()
      else send(response, reply ?? ordinary(request))
    })
  })
  return keystone
})
