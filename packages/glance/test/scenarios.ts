/**
 * One list of uploads, written once: it runs against the embedded Glance in both manners and against a real one. Where
 * the real one behaves differently, the embedded one is wrong. Faults are made on the wire, by a proxy in front.
 */
import { randomBytes } from "node:crypto"
import { type ProxyFault, start as startProxy } from "@headrace/testkit/FaultProxy"
import type * as GlanceStore from "@headrace/glance/GlanceStore"
import type * as Transfer from "@headrace/core/Transfer"
import { assert, it } from "vitest"
import { type Outcome, type Service, upload } from "./support/upload.ts"

const body = randomBytes(3_000_000)
// The last bytes of a master boot record by accident would be refused, as a real service does.
body[510] = 0

export interface Scenario {
  readonly name: string
  readonly faults?: ReadonlyArray<ProxyFault>
  readonly bytes?: Uint8Array
  readonly image?: GlanceStore.ImageOptions
  readonly transfer?: Partial<Transfer.Options>
  readonly reason?: string
  readonly left?: RegExp
  readonly attempts?: number
}

const qcow2 = (() => {
  const head = new Uint8Array(65536)
  head.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3])
  return head
})()

export const scenarios: ReadonlyArray<Scenario> = [
  { name: "an image", attempts: 1 },
  { name: "an image of one byte", bytes: new Uint8Array([7]), attempts: 1 },
  { name: "an image in a store of one's choice", image: { store: "cheap" }, attempts: 1 },
  {
    name: "properties and tags",
    image: { properties: { os_distro: "alpine" }, tags: ["a", "b"], minDisk: 1 },
    attempts: 1
  },
  { name: "an image that is protected once it is proven", image: { protected: true }, attempts: 1 },
  { name: "an unknown store", image: { store: "nosuch" }, reason: "UnknownStore", left: /^none$/ },
  {
    name: "a reset in the body",
    faults: [{ type: "cutRequest", afterBytes: 1_000_000, how: "reset" }],
    attempts: 2
  },
  {
    name: "a close in the body",
    faults: [{ type: "cutRequest", afterBytes: 1_000_000, how: "close" }],
    attempts: 2
  },
  { name: "the 204 is lost", faults: [{ type: "dropAnswer", how: "reset" }], attempts: 1 },
  {
    name: "a stall in the body",
    faults: [{ type: "stallRequest", afterBytes: 500_000 }],
    transfer: { stallMs: 700, answerMs: 3000 },
    attempts: 2
  },
  { name: "a reader that trickles", faults: [{ type: "slowRequest", bytesPerSecond: 2_000_000 }], attempts: 1 },
  {
    name: "a digest that is not the expected one",
    transfer: { expect: { sha256: "00".repeat(32) } },
    reason: "SourceMismatch",
    left: /^none$/
  },
  {
    name: "a format that the bytes are not",
    bytes: randomBytes(70_000).fill(1),
    image: { diskFormat: "qcow2" },
    reason: "UnsupportedFormat",
    left: /^none$/
  },
  {
    name: "a header that promises a backing file",
    bytes: (() => {
      const bytes = qcow2.slice()
      bytes[15] = 0x68
      bytes[19] = 8
      return bytes
    })(),
    reason: "UnsupportedFormat",
    left: /^none$/
  },
  { name: "read back from the service", transfer: { verify: "destination" }, attempts: 1 },
  { name: "the source read again", transfer: { verify: "source", digest: ["sha256", "blake3"] }, attempts: 1 }
]

const hostOf = (endpoint: string) => {
  const url = new URL(endpoint)
  return { host: url.hostname, port: Number(url.port) }
}

/** What the service itself says of an image, and its bytes. */
const look = async (service: Service, id: string) => {
  const headers: Record<string, string> = service.token === undefined ? {} : { "x-auth-token": service.token }
  const answer = await fetch(`${service.endpoint}/v2/images/${id}`, { headers })
  if (answer.status !== 200) return undefined
  const data = await fetch(`${service.endpoint}/v2/images/${id}/file`, { headers })
  return {
    record: (await answer.json()) as Record<string, unknown>,
    bytes: new Uint8Array(await data.arrayBuffer()),
    remove: async () => {
      if ((await fetch(`${service.endpoint}/v2/images/${id}`, { method: "DELETE", headers })).status === 403) {
        await fetch(`${service.endpoint}/v2/images/${id}`, {
          method: "PATCH",
          headers: { ...headers, "content-type": "application/openstack-images-v2.1-json-patch" },
          body: JSON.stringify([{ op: "replace", path: "/protected", value: false }])
        })
        await fetch(`${service.endpoint}/v2/images/${id}`, { method: "DELETE", headers })
      }
    }
  }
}

const check = async (scenario: Scenario, service: Service, outcome: Outcome, bytes: Uint8Array) => {
  const destination = outcome.receipt.destinations[0]!
  assert.strictEqual(outcome.error?.reason._tag, scenario.reason, outcome.error?.message)
  if (scenario.reason !== undefined) return assert.match(destination.error!.left, scenario.left!)
  assert.strictEqual(destination.status, "verified")
  assert.strictEqual(destination.attempts, scenario.attempts)
  const found = await look(service, destination.object!.id)
  assert.isDefined(found)
  assert.isTrue(Buffer.from(bytes).equals(found!.bytes), "the service holds other bytes")
  assert.strictEqual(found!.record["status"], "active")
  assert.strictEqual(found!.record["os_hash_value"], outcome.receipt.source.digests.sha512)
  const image = scenario.image
  if (image?.store !== undefined) assert.strictEqual(found!.record["stores"], image.store)
  if (image?.protected === true) assert.isTrue(found!.record["protected"])
  for (const [key, value] of Object.entries(image?.properties ?? {})) assert.strictEqual(found!.record[key], value)
  if (image?.tags !== undefined) assert.sameMembers(found!.record["tags"] as Array<string>, [...image.tags])
  await found!.remove()
}

/** Declares the list as tests against a service that is there when they run. */
export const declare = (service: () => Service): void => {
  for (const scenario of scenarios) {
    it(scenario.name, async () => {
      const direct = service()
      const proxy = await startProxy({ target: hostOf(direct.endpoint), faults: scenario.faults ?? [] })
      try {
        const bytes = scenario.bytes ?? body
        const outcome = await upload({ ...direct, endpoint: proxy.url }, bytes, scenario.image, {
          answerMs: 20_000,
          ...scenario.transfer
        })
        await check(scenario, direct, outcome, bytes)
      } finally {
        await proxy.close()
      }
    })
  }
}
