/** The conformance kit, against image services: in either manner, behind a Keystone whose tokens end, and the real one. */
import { Host } from "@headrace/core/Host"
import type { Store } from "@headrace/core/Store"
import type { Transport } from "@headrace/core/Transport"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as NodeHost from "@headrace/node/NodeHost"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Conformance from "@headrace/testkit/Conformance"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as EmbeddedKeystone from "@headrace/testkit/EmbeddedKeystone"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { afterAll } from "vitest"

type Options = Conformance.Options<Transport | Host>

const common = {
  capabilities: { shape: "whole", needsSize: false, sharedMemory: true, reports: ["sha512", "md5"] },
  keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this"]
} satisfies Partial<Options>

const isBegin = ({ method }: Conformance.Request) => method === "POST"

/** What the service in this process has. */
const inside = (glance: EmbeddedGlance.EmbeddedGlance) => {
  const images = (key: string) => glance.images.list().filter(({ name }) => name === key)
  return {
    ...common,
    truth: (key) => {
      const active = images(key).find(({ status }) => status === "active")
      return Effect.promise(async () => (active === undefined ? undefined : glance.images.bytes(active.id)))
    },
    unfinished: (key) => Effect.sync(() => images(key).filter(({ status }) => status !== "active").length),
    service: { port: glance.port, isBegin }
  } satisfies Partial<Options>
}

const withToken =
  (token: string) =>
  ({ address, key }: Conformance.Target): Store<Transport | Host> =>
    GlanceStore.image({
      endpoint: `http://${address!.host}:${address!.port}`,
      token: Redacted.make(token),
      name: key,
      diskFormat: "raw"
    })

const plain = await EmbeddedGlance.start({ manner: "eventlet", auth: "fake" })
const token = "hunter2:demo:member"
Conformance.suite("GlanceStore, behind eventlet", Layer.merge(NodeTransport.layer, NodeHost.layer), {
  ...inside(plain),
  make: withToken(token),
  secrets: [token]
})

const keystone = await EmbeddedKeystone.start()
const signed = await EmbeddedGlance.start({ manner: "uwsgi", auth: keystone })
afterAll(() => Promise.all([plain, keystone, signed].map((server) => server.close())))

/** A machine whose clouds are named by the port at which their image service is. */
const ports = new Set<number>()
const cloud = (port: number) => `
  at-${port}:
    image_endpoint_override: http://127.0.0.1:${port}
    auth:
      auth_url: ${keystone.authUrl}
      username: demo
      password: secret
      project_name: demo
      user_domain_name: Default
      project_domain_name: Default`
const machine = Layer.succeed(
  Host,
  Host.of({
    env: Effect.succeed({}),
    cwd: Effect.succeed("/work"),
    home: Effect.succeed("/home/u"),
    readFile: (path) =>
      Effect.sync(() => (path === "/work/clouds.yaml" ? `clouds:${[...ports].map(cloud).join("")}\n` : undefined))
  })
)
Conformance.suite("GlanceStore, behind uWSGI and a Keystone", Layer.merge(NodeTransport.layer, machine), {
  ...inside(signed),
  make: ({ address, key }) => {
    ports.add(address!.port)
    return GlanceStore.image({ cloud: `at-${address!.port}`, name: key, diskFormat: "raw" })
  },
  expireCredentials: Effect.sync(() => keystone.revoke()),
  secrets: ["secret"]
})

const real = process.env["HEADRACE_TESTBED_GLANCE"]
if (real !== undefined) {
  const headers = { "x-auth-token": process.env["HEADRACE_TESTBED_FAKE_TOKEN"]! }
  const images = (key: string) =>
    Effect.promise(async () => {
      const answer = await fetch(`${real}/v2/images?name=${encodeURIComponent(key)}`, { headers })
      return ((await answer.json()) as { images: ReadonlyArray<{ id: string; status: string }> }).images
    })
  Conformance.suite("GlanceStore, a real Glance 33", Layer.merge(NodeTransport.layer, NodeHost.layer), {
    ...common,
    make: withToken(headers["x-auth-token"]),
    truth: (key) =>
      Effect.flatMap(images(key), (found) =>
        Effect.promise(async () => {
          const active = found.find(({ status }) => status === "active")
          if (active === undefined) return undefined
          const answer = await fetch(`${real}/v2/images/${active.id}/file`, { headers })
          return new Uint8Array(await answer.arrayBuffer())
        })
      ),
    // What is deleted while its last request is served stays in Glance's list, and nobody can do anything about it.
    unfinished: (key) =>
      Effect.map(images(key), (found) => found.filter(({ status }) => !["active", "deleted"].includes(status)).length),
    service: { port: Number(new URL(real).port), isBegin },
    secrets: [headers["x-auth-token"]]
  })
}
