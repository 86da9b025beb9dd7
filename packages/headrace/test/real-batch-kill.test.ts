/** Batches between real services, killed again and again: see `support/batchKill.ts`. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Glance, startGlance } from "../../../testbed/testbed.ts"
import * as Kill from "./support/batchKill.ts"
import { withPassword } from "./support/clouds.ts"
import { cloud, folder as makeFolder, run } from "./support/command.ts"
import { plainGlance, signIn } from "./support/plainGlance.ts"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""

/** More by hand: HEADRACE_KILLS=200 HEADRACE_KILL_LINES=300. */
const kills = Number(process.env["HEADRACE_KILLS"] ?? 20)
/** Of stores whose uploads have been killed often enough in `real-resume`. */
const fewKills = Number(process.env["HEADRACE_KILLS"] ?? 4)
const lines = Number(process.env["HEADRACE_KILL_LINES"] ?? 40)

describe.skipIf(env("KEYSTONE") === "")("kill -9 of a batch from a real Glance to another", () => {
  let old: Glance
  beforeAll(async () => {
    old = await startGlance({ auth: "none", stores: ["one"] })
  })
  afterAll(() => old.stop())

  it(`${kills} times`, { timeout: 3_600_000 }, async () => {
    const from = plainGlance(old.url, "")
    const token = await signIn(env("KEYSTONE"), "demo", "demo-secret", "demo")
    const there = async (prefix: string) => {
      const found: Array<Kill.Thing> = []
      let path: string | undefined = "/v2/images?limit=100"
      while (path !== undefined) {
        const answer = await fetch(`${env("KEYSTONE_GLANCE")}${path}`, { headers: { "x-auth-token": token } })
        const page = (await answer.json()) as {
          readonly images: ReadonlyArray<{ name: string | null; status: string; os_hash_value: string | null }>
          readonly next?: string
        }
        for (const { name, os_hash_value, status } of page.images) {
          // What is deleted while its last request is served stays in Glance's list, and nobody can do anything about it.
          if (name?.startsWith(prefix) && status !== "deleted")
            found.push({ name, status, sha512: os_hash_value ?? undefined })
        }
        path = page.next
      }
      return found
    }
    const figures = await Kill.killAgainAndAgain(
      {
        clouds: withPassword(env("KEYSTONE"), "demo-secret") + cloud("old", old.url),
        source: async (name, bytes) => `glance://old/${await from.put(name, bytes)}`,
        destination: (name) => `glance://prod/${name}?tag=moved&property.batch=yes`,
        things: there
      },
      // Its database is SQLite: of too many writers at once some get a 500, and leave their image "saving".
      { lines, kills, mostMs: 1200, args: ["--concurrency", "3", "--answer", "5s"] }
    )
    console.log(JSON.stringify(figures))
    expect(figures.killed).toBeGreaterThan(0)
  })
})

interface Objects {
  readonly clouds: string
  readonly variables: Readonly<Record<string, string>>
  readonly container: string
}

const toObjects = (name: string, needs: string, bedOf: () => Objects) =>
  describe.skipIf(env(needs) === "" || process.env["HEADRACE_LONG"] === undefined)(
    `[optional] kill -9 of a batch from files to a real ${name}`,
    () => {
      it(`${fewKills} times`, { timeout: 3_600_000 }, async () => {
        const { clouds, container, variables } = bedOf()
        const named = new Set<string>()
        const folder = await makeFolder(clouds)
        const command = (...args: ReadonlyArray<string>) => run(folder, args, { env: variables })
        const figures = await Kill.killAgainAndAgain(
          {
            clouds,
            variables,
            source: async (name, bytes, at) => {
              named.add(name)
              await writeFile(join(at, name), bytes)
              return name
            },
            destination: (name) => `${container}/${name}`,
            things: () =>
              Promise.all(
                [...named].map(async (name) => {
                  const summed = await command("sum", `${container}/${name}`)
                  return { name, status: "active", sha512: summed.stdout.split(" ")[0] }
                })
              )
          },
          { lines, kills: fewKills, mostMs: 700 }
        )
        console.log(JSON.stringify(figures))
        const left = await command("gc", `${container}/`)
        expect(left.stdout, left.stderr).toBe("nothing was left\n")
      })
    }
  )

toObjects("S3", "S3", () => ({
  clouds: "",
  variables: {
    AWS_ENDPOINT_URL_S3: env("S3"),
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: env("S3_ACCESS_KEY"),
    AWS_SECRET_ACCESS_KEY: env("S3_SECRET_KEY")
  },
  container: `s3://${env("S3_BUCKET")}/batch-${process.pid}`
}))

toObjects("Swift", "SWIFT_STORAGE_URL", () => ({
  clouds: `  swift:
    auth_type: v1password
    object_store_endpoint_override: ${env("SWIFT_STORAGE_URL")}
    auth:
      auth_url: ${env("SWIFT_AUTH_URL")}
      username: "${env("SWIFT_USER")}"
      password: ${env("SWIFT_KEY")}
`,
  variables: {},
  container: `swift://swift/batch-${process.pid}`
}))
