/**
 * Uploads to real stores that are killed with `kill -9` again and again, at random moments, and begun again by the same
 * command: each goes on where it was, and at the end the object is whole, and proven.
 */
import { createHash } from "node:crypto"
import { readdir, rm } from "node:fs/promises"
import type { IncomingMessage } from "node:http"
import { join } from "node:path"
import type { Receipt } from "headrace"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Ended, folder as makeFolder, random, run } from "./support/command.ts"
import { read } from "./support/events.ts"
import * as Parts from "./support/parts.ts"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""

const mib = 1024 * 1024
const size = 96 * mib + 12_345
const partBytes = 5 * mib
const kills = 20
/** Parts that there is memory for at once. */
const inFlight = 3

const bytes = random(size)
const sha256 = createHash("sha256").update(bytes).digest("hex")

/** A testbed may be used for many runs. */
const place = `resume-${process.pid}`

/** Every other kill is at any time since the start; those between are while parts are on their way. */
const someTime = (kill: number) =>
  kill % 2 === 0
    ? { ms: 100 + Math.random() * 900, sinceFirstPart: false }
    : { ms: Math.random() * 800, sinceFirstPart: true }

interface Kill {
  readonly ms: number
  readonly sinceFirstPart: boolean
}

interface Bed {
  readonly clouds: string
  readonly variables: Readonly<Record<string, string>>
  readonly object: (name: string) => string
  readonly container: string
}

const killing = (
  name: string,
  needs: string,
  target: () => string,
  partOf: (request: IncomingMessage) => string | undefined,
  bedOf: (proxy: string) => Bed
) =>
  describe.skipIf(env(needs) === "")(`kill -9 of an upload to a real ${name}`, () => {
    let bed: Bed
    let origin: Awaited<ReturnType<typeof Parts.origin>>
    let proxy: Parts.Parts
    let folder = ""
    beforeAll(async () => {
      origin = await Parts.origin(bytes)
      proxy = await Parts.proxy(target(), partOf)
      bed = bedOf(proxy.url)
      folder = await makeFolder(bed.clouds)
    })
    afterAll(async () => {
      origin.close()
      proxy.close()
      await rm(folder, { recursive: true, force: true })
    })

    const command = (args: ReadonlyArray<string>, kill?: Kill): Promise<Ended> => {
      const before = proxy.sendings.length
      return run(folder, args, {
        env: { ...bed.variables, XDG_STATE_HOME: join(folder, "state") },
        during: (child) => {
          if (kill === undefined) return
          const soon = () => void setTimeout(() => child.kill("SIGKILL"), kill.ms)
          if (!kill.sinceFirstPart) return soon()
          const look = setInterval(() => {
            if (proxy.sendings.length === before && child.exitCode === null) return
            clearInterval(look)
            soon()
          }, 5)
        }
      })
    }

    const options = ["--memory", "16MiB", "--json", "--progress", "none", "--digest", "sha256"]
    const upload = (object: string, kill?: Kill): Promise<Ended> =>
      command(["upload", origin.url, "--to", object, "--limit", "24MiB/s", ...options], kill)

    /** Kills it when the store has answered for a part. */
    const cutOff = async (object: string, name: string) => {
      for (let ms = 500; !proxy.sendings.some(({ key, taken }) => taken && key.includes(name)); ms += 300) {
        expect((await upload(object, { ms, sinceFirstPart: true })).signal).toBe("SIGKILL")
      }
    }

    const proven = async (ended: Ended, object: string) => {
      expect(ended.code, ended.stderr).toBe(0)
      const receipt = read(ended.stdout).at(-1) as unknown as Receipt
      expect(receipt.destinations[0]).toMatchObject({ status: "verified", object: { size } })
      // Of the whole, though this process has read only the end of it.
      expect(receipt.source).toMatchObject({ size, digests: { sha256 } })
      const sum = await command(["sum", object.split("?")[0]!, "--digest", "sha256"])
      expect(sum.stdout, sum.stderr).toContain(sha256)
      return receipt
    }

    it(`${kills} times at random moments goes on where it was, and is whole and proven at the end`, async () => {
      let killed = 0
      let number = 1
      let wentOn = 0
      const check = async (ended: Ended, object: string) => {
        const receipt = await proven(ended, object)
        if (receipt.destinations[0]!.notes?.some((note) => note.startsWith("goes on with")) === true) wentOn++
        number++
      }
      while (killed < kills) {
        const object = bed.object(`killed-${number}`)
        const ended = await upload(object, someTime(killed))
        if (ended.signal === "SIGKILL") killed++
        // Done before the kill: the next one begins anew.
        else await check(ended, object)
      }
      const object = bed.object(`killed-${number}`)
      await check(await upload(object), object)
      expect(wentOn).toBeGreaterThan(0)

      // What the client was told is taken it does not send again, but for what it was told in the moment of its end.
      const told = new Set<string>()
      let again = 0
      for (const { bytes: sent, key, taken } of proxy.sendings) {
        if (told.has(key)) again += sent
        if (taken) told.add(key)
      }
      expect(again).toBeLessThanOrEqual(kills * partBytes)
      const sent = proxy.sendings.reduce((sum, { bytes }) => sum + bytes, 0)
      expect(sent).toBeLessThanOrEqual(number * size + kills * inFlight * partBytes)
      // Nor does it read again what it need not.
      expect(origin.offsets.filter((offset) => offset > 0).length).toBeGreaterThan(0)

      expect(await readdir(join(folder, "state/headrace/uploads"))).toEqual([])
      const left = await command(["gc", bed.container])
      expect(left.stdout, left.stderr).toBe("nothing was left\n")
    }, 300_000)

    it("leaves what gc knows, and deletes when told", async () => {
      const object = bed.object("left")
      await cutOff(object, "left")
      const listed = await command(["gc", bed.container, "--json"])
      const [leftover, ...more] = listed.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>)
      expect(more).toEqual([])
      expect(leftover).toMatchObject({ type: "leftover", known: "both", running: false, action: "listed" })
      expect(leftover!["bytes"]).toBeGreaterThan(0)
      expect((await command(["gc", bed.container, "--older-than", "1d"])).stdout).toMatch(
        /^nothing was left; 1 younger than that\n$/
      )
      const deleted = await command(["gc", bed.container, "--delete"])
      expect(deleted.stdout, deleted.stderr).toMatch(/^deleted .*left.*\n1 unfinished upload, .*: 1 deleted\n$/)
      expect((await command(["gc", object.split("?")[0]!])).stdout).toBe("nothing was left\n")
      expect(await readdir(join(folder, "state/headrace/uploads"))).toEqual([])
    }, 60_000)

    it("--no-resume begins afresh", async () => {
      const object = bed.object("afresh")
      await cutOff(object, "afresh")
      const ended = await command(["upload", origin.url, "--to", object, "--no-resume", ...options])
      const receipt = await proven(ended, object)
      expect(receipt.destinations[0]!.bytesSent).toBe(size)
      const { code } = await command(["gc", bed.container, "--delete"])
      expect(code).toBe(0)
    }, 60_000)
  })

killing(
  "S3",
  "S3",
  () => env("S3"),
  ({ method, url }) =>
    method === "PUT" && url!.includes("partNumber=")
      ? `${url!.split("?")[0]!} ${/uploadId=[^&]*/.exec(url!)?.[0]} ${/partNumber=\d+/.exec(url!)?.[0]}`
      : undefined,
  (proxy) => ({
    clouds: "",
    variables: {
      AWS_ENDPOINT_URL_S3: proxy,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: env("S3_ACCESS_KEY"),
      AWS_SECRET_ACCESS_KEY: env("S3_SECRET_KEY")
    },
    object: (name) => `s3://${env("S3_BUCKET")}/${place}/${name}?part_size=5MiB`,
    container: `s3://${env("S3_BUCKET")}/${place}/`
  })
)

killing(
  "Swift",
  "SWIFT_STORAGE_URL",
  () => new URL(env("SWIFT_STORAGE_URL")).origin,
  ({ method, url }) => (method === "PUT" && url!.includes("_segments/") && /\/\d{8}$/.test(url!) ? url! : undefined),
  (proxy) => ({
    clouds: `  swift:
    auth_type: v1password
    object_store_endpoint_override: ${proxy}${new URL(env("SWIFT_STORAGE_URL")).pathname}
    auth:
      auth_url: ${env("SWIFT_AUTH_URL")}
      username: "${env("SWIFT_USER")}"
      password: ${env("SWIFT_KEY")}
`,
    variables: {},
    object: (name) => `swift://swift/${place}/${name}?segment_size=5MiB`,
    container: `swift://swift/${place}`
  })
)
