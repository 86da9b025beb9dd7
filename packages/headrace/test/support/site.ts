/** What the documents' programs and commands speak of: the clouds `prod`, `old` and `new`, and what is in them. */
import { createHash } from "node:crypto"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as EmbeddedKeystone from "@headrace/testkit/EmbeddedKeystone"
import { cloud } from "./command.ts"

export interface Image {
  readonly status: string
  readonly stores: ReadonlyArray<string>
  readonly bytes: Uint8Array | undefined
}

export interface Site {
  /** A `clouds.yaml`. */
  readonly clouds: string
  /** The images `disk` in `prod`. */
  readonly images: () => Promise<ReadonlyArray<Image>>
  readonly close: () => Promise<void>
}

const signedIn = (authUrl: string, password: string): string => `  prod:
    region_name: RegionOne
    auth:
      auth_url: ${authUrl}
      username: demo
      password: ${password}
      project_name: demo
      user_domain_name: Default
      project_domain_name: Default
`

/** `prod` has a Keystone and the store `fast`; the others ask nobody for a name. */
export const embedded = async (): Promise<Site> => {
  const stores = [{ id: "fast" }, { id: "cheap", default: true }]
  const keystone = await EmbeddedKeystone.start()
  const glance = await EmbeddedGlance.start({ auth: keystone, stores })
  keystone.addService({
    type: "image",
    name: "glance",
    endpoints: [{ interface: "public", region: "RegionOne", url: glance.url }]
  })
  const others = await Promise.all([EmbeddedGlance.start(), EmbeddedGlance.start()])
  const [old, fresh] = others
  return {
    clouds: `clouds:\n${signedIn(keystone.authUrl, "secret")}${cloud("old", old.url)}${cloud("new", fresh.url)}`,
    images: () =>
      Promise.all(
        glance.images
          .list()
          .filter((image) => image.name === "disk")
          .map(async ({ id, status, stores }) => ({ status, stores, bytes: await glance.images.bytes(id, stores[0]) }))
      ),
    close: async () => {
      await Promise.all([keystone, glance, ...others].map((server) => server.close()))
    }
  }
}

/** The testbed's Keystone 30 and Glance 33, asked without any of our code, and of the images only those of these bytes. */
export const real = async (
  variables: Readonly<Record<string, string | undefined>>,
  disk: Uint8Array
): Promise<Site> => {
  const keystone = variables["HEADRACE_TESTBED_KEYSTONE"] ?? ""
  const glance = variables["HEADRACE_TESTBED_KEYSTONE_GLANCE"] ?? ""
  const domain = { name: "Default" }
  const user = { name: "demo", password: "demo-secret", domain }
  const identity = { methods: ["password"], password: { user } }
  const answer = await fetch(`${keystone}/auth/tokens`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ auth: { identity, scope: { project: { name: "demo", domain } } } })
  })
  const headers = { "x-auth-token": answer.headers.get("x-subject-token") ?? "" }
  const list = async () => {
    const query = `name=disk&os_hash_value=${createHash("sha512").update(disk).digest("hex")}`
    const answer = await fetch(`${glance}/v2/images?${query}`, { headers })
    return ((await answer.json()) as { images: ReadonlyArray<{ id: string; status: string; stores: string }> }).images
  }
  return {
    clouds: `clouds:\n${signedIn(keystone, "demo-secret")}`,
    images: async () =>
      Promise.all(
        (await list()).map(async ({ id, status, stores }) => {
          const file = await fetch(`${glance}/v2/images/${id}/file`, { headers })
          return { status, stores: stores.split(","), bytes: new Uint8Array(await file.arrayBuffer()) }
        })
      ),
    close: async () => {
      for (const { id } of await list()) await fetch(`${glance}/v2/images/${id}`, { method: "DELETE", headers })
    }
  }
}
