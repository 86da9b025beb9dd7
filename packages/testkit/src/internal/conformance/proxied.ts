/**
 * An adapter's store behind a proxy that breaks what is on the wire.
 */
import { createServer, type AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { StoreError } from "@headrace/core/StoreError"
import * as FaultProxy from "../../FaultProxy.ts"
import * as Feed from "./feed.ts"
import { blockBytes, type Lab } from "./lab.ts"
import type { Address, Request } from "./model.ts"

/** Bytes from which on a request's body is taken for one of an object. */
const leastBody = 32 * 1024

type Seen = Request & { readonly headers: Readonly<Record<string, string>> }

/** Whether a request carries bytes of an object. */
const bodyOf =
  <R>(lab: Lab<R>) =>
  (request: Seen): boolean =>
    lab.options.service?.isBody?.(request) ??
    (request.headers["transfer-encoding"] !== undefined || Number(request.headers["content-length"] ?? 0) >= leastBody)

export interface Proxied {
  readonly proxy: FaultProxy.FaultProxy
  readonly address: Address
}

/** A proxy in front of the service, for as long as the scope. Faults strike requests with bodies unless said. */
export const start = <R>(
  lab: Lab<R>,
  faults: ReadonlyArray<FaultProxy.ProxyFault>,
  match: (request: Seen) => boolean = bodyOf(lab)
): Effect.Effect<Proxied, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => FaultProxy.start({ target: lab.address!, match, faults })),
      (proxy) => Effect.promise(proxy.close)
    ),
    (proxy) => ({ proxy, address: { host: "127.0.0.1", port: proxy.port } })
  )

/** A port at which nobody listens. */
export const nobody: Effect.Effect<Address> = Effect.promise(
  () =>
    new Promise((resolve) => {
      const server = createServer()
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        server.close(() => resolve({ host: "127.0.0.1", port }))
      })
    })
)

/** Bytes of a body that is sent in one request. */
export const bodyBytes = <R>(lab: Lab<R>): number => (lab.isParts ? lab.partBytes : 6 * blockBytes)

/** Everything up to the end of the first body; the session is closed then. Fails with whatever failed first. */
export const send = <R>(
  lab: Lab<R>,
  key: string,
  address: Address,
  bytes: Uint8Array,
  how: Feed.How = {}
): Effect.Effect<unknown, Feed.Failing | StoreError, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* lab.store(key, address).open(lab.content(bytes))
      yield* session.begin
      const memory = yield* Feed.share(lab)
      if (session.shape === "whole") return yield* session.write(Feed.make(memory, bytes, how).body)
      return yield* Feed.writePart(session, memory, bytes, { number: 1, offset: 0 }, how)
    })
  )
