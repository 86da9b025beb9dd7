/** The conformance kit, against a web server that tells its objects apart, and reports their digests. */
import * as HttpStore from "@headrace/http/HttpStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { afterAll } from "vitest"
import * as Web from "./support/web.ts"

const web = await Web.start({
  etags: true,
  reports: (bytes) => ({ "Repr-Digest": `sha-256=:${Web.base64("sha256", bytes)}:` })
})
afterAll(() => web.close())

const path = (key: string) => `/${encodeURIComponent(key)}`

Conformance.suite("HttpStore", NodeTransport.layer, {
  capabilities: { shape: "whole", reports: ["sha256"], needsSize: false, sharedMemory: true },
  make: ({ address, key }) =>
    HttpStore.put({
      url: `http://user:hunter2@${address!.host}:${address!.port}${path(key)}?sig=c0ffee`,
      headers: { "x-key": Redacted.make("opensesame") }
    }),
  truth: (key) => Effect.sync(() => web.objects.get(path(key))),
  put: (key, bytes) => Effect.sync(() => web.objects.set(path(key), Buffer.from(bytes))),
  service: { port: web.port },
  keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this"],
  secrets: ["hunter2", "c0ffee", "opensesame", btoa("user:hunter2")]
})
