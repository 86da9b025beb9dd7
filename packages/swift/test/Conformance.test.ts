/** The conformance kit, against the real Swift of the testbed: in segments, and in one PUT. */
import { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as SwiftStore from "@headrace/swift/SwiftStore"
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { describe } from "vitest"
import * as Upload from "./support/upload.ts"

const container = `kit-${process.pid}-${Date.now()}`
const segments = `${container}_segments`
const partBytes = 1024 * 1024

/** A machine whose clouds are named by the port at which the object service is. */
const ports = new Set<number>()
const cloud = (port: number) => `
  at-${port}:
    auth_type: v1password
    object_store_endpoint_override: ${new URL(storage).origin.replace(/:\d+$/, `:${port}`)}${new URL(storage).pathname}
    auth:
      auth_url: ${Upload.authUrl}
      username: ${Upload.user}
      password: ${Upload.key}`

const storage = process.env["HEADRACE_TESTBED_SWIFT_STORAGE_URL"] ?? "http://127.0.0.1:1/v1/none"

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

const signIn = async (): Promise<string> => {
  const headers = { "x-auth-user": Upload.user, "x-auth-key": Upload.key }
  const answer = await fetch(Upload.authUrl, { headers })
  return answer.headers.get("x-auth-token")!
}

const suite = async (): Promise<void> => {
  const token = await signIn()
  const headers = { "x-auth-token": token }
  const at = (name: string) => `${storage}/${container}/${encodeURIComponent(name)}`
  for (const name of [container, segments]) await fetch(`${storage}/${name}`, { method: "PUT", headers })

  Conformance.suite<Transport | Host>("SwiftStore, a real Swift 2.38", Layer.merge(NodeTransport.layer, machine), {
    capabilities: { shape: "parts", needsSize: false, sharedMemory: true },
    make: ({ address, key }) => {
      ports.add(address!.port)
      return SwiftStore.object({ cloud: `at-${address!.port}`, container, object: key, segmentSize: partBytes })
    },
    truth: (key) =>
      Effect.promise(async () => {
        const answer = await fetch(at(key), { headers })
        return answer.status === 200 ? new Uint8Array(await answer.arrayBuffer()) : undefined
      }),
    put: (key, bytes) => Effect.promise(() => fetch(at(key), { method: "PUT", headers, body: new Uint8Array(bytes) })),
    service: {
      port: Number(new URL(storage).port),
      isFinish: ({ path }) => path.includes("multipart-manifest=put")
    },
    keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this"],
    secrets: [Upload.key, token],
    partBytes
  })
}

if (Upload.none) describe.skip("the conformance kit against a real Swift, which is not there")
else await suite()
