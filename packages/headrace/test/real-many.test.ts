/**
 * One file to the two stores of a real Glance 33, a real S3 and a folder, by the launcher of the checkout; from the ones
 * to the others; and the same from code.
 */
import { createHash } from "node:crypto"
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { Receipt } from "headrace"
import { upload } from "headrace"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { withPassword } from "./support/clouds.ts"
import { folder as makeFolder, program } from "./support/command.ts"
import { read } from "./support/events.ts"
import { type PlainGlance, plainGlance, signIn } from "./support/plainGlance.ts"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""
const launcher = join(import.meta.dirname, "../../../headrace")
const sum = (bytes: Uint8Array) => createHash("sha512").update(bytes).digest("hex")

describe.skipIf(env("KEYSTONE") === "" || env("S3") === "")("real stores, many at once", () => {
  let folder = ""
  let glance: PlainGlance
  let disk: Uint8Array = new Uint8Array()
  const name = `many-${process.pid}`
  const variables = {
    AWS_ENDPOINT_URL_S3: env("S3"),
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: env("S3_ACCESS_KEY"),
    AWS_SECRET_ACCESS_KEY: env("S3_SECRET_KEY")
  }
  const object = `s3://${env("S3_BUCKET")}/${name}/disk.qcow2`
  const images = `glance://prod/${name}?store=fast&store=cheap`
  const swift = `swift://swift/${name}/disk.qcow2`

  beforeAll(async () => {
    const v1 = `  swift:
    auth_type: v1password
    auth:
      auth_url: ${env("SWIFT_AUTH_URL")}
      username: "${env("SWIFT_USER")}"
      password: ${env("SWIFT_KEY")}
`
    folder = await makeFolder(withPassword(env("KEYSTONE"), "demo-secret") + v1)
    glance = plainGlance(env("KEYSTONE_GLANCE"), await signIn(env("KEYSTONE"), "demo", "demo-secret", "demo"))
    disk = await readFile(env("QCOW2"))
    await writeFile(join(folder, "disk.qcow2"), disk)
    await mkdir(join(folder, "backup"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  // The package manager's store is at home, for the launcher of a checkout that has changed.
  const headrace = (...args: ReadonlyArray<string>) =>
    program(folder, launcher, [...args, ...(args[0] === "upload" ? ["--progress", "none", "--json"] : [])], {
      env: { ...variables, HOME: homedir(), XDG_STATE_HOME: join(folder, "state") }
    })

  const receiptOf = ({ stdout }: { readonly stdout: string }) => read(stdout).at(-1) as unknown as Receipt
  const statuses = ({ destinations }: Receipt) => destinations.map(({ status, uri }) => `${status} ${uri}`)

  it("a file to two stores of an image, an object, and a file on best effort", async () => {
    const backup = pathToFileURL(join(folder, "backup/disk.qcow2")).href
    const ended = await headrace("upload", "disk.qcow2", "--to", images, "--to", object, "--also", backup)
    expect(ended.code, ended.stderr).toBe(0)
    const receipt = receiptOf(ended)
    expect(statuses(receipt)).toEqual([
      `verified glance://prod/${name}?store=fast`,
      `verified glance://prod/${name}?store=cheap`,
      `verified ${object}`,
      `stored ${backup}`
    ])
    const sha512 = sum(disk)
    expect(receipt.source.digests.sha512).toBe(sha512)
    const { id } = receipt.destinations[0]!.object!
    const record = await glance.record(id)
    expect(record).toMatchObject({ status: "active", os_hash_value: sha512, disk_format: "qcow2" })
    expect((record["stores"] as string).split(",").sort()).toEqual(["cheap", "fast"])
    expect(sum(await readFile(join(folder, "backup/disk.qcow2")))).toBe(sha512)
    const back = await headrace("sum", object)
    expect(back.stdout, back.stderr).toBe(`${sha512}  ${object}\n`)
  })

  it("an object to another store, and from there to a file", async () => {
    const there = await headrace("upload", object, "--to", `${swift}?segment_size=8MiB`, "--verify", "destination")
    expect(there.code, there.stderr).toBe(0)
    expect(statuses(receiptOf(there))).toEqual([`verified ${swift}?segment_size=8MiB`])
    const back = await headrace("upload", swift, "--to", "back.qcow2")
    expect(back.code, back.stderr).toBe(0)
    expect(sum(await readFile(join(folder, "back.qcow2")))).toBe(sum(disk))
  })

  it("the same from code, with an environment and a folder of its own", async () => {
    const transfer = upload("disk.qcow2", {
      to: [`${object}-2`, "copy.qcow2"],
      also: ["http://127.0.0.1:9/nobody"],
      retries: 0,
      env: { ...variables, HOME: folder },
      cwd: folder,
      state: "state"
    })
    const receipt = await transfer.receipt
    expect(receipt.destinations.map(({ status }) => status)).toEqual(["verified", "stored", "failed"])
    expect(sum(await readFile(join(folder, "copy.qcow2")))).toBe(sum(disk))
  })

  it("from code with wrong keys: the others stand, and the receipt says so", async () => {
    const transfer = upload("disk.qcow2", {
      to: [`${object}-3`, "stands.qcow2"],
      env: { ...variables, AWS_SECRET_ACCESS_KEY: "wrong" },
      cwd: folder,
      state: "state"
    })
    const error = await transfer.receipt.then(
      () => undefined,
      (error: unknown) => error as { readonly reason: string; readonly receipt: Receipt }
    )
    expect(error).toMatchObject({ reason: expect.stringMatching(/^(Unauthorized|Forbidden)$/) as unknown })
    expect(error!.receipt.destinations.map(({ status }) => status)).toEqual(["failed", "stored"])
    expect(JSON.stringify(error!.receipt)).not.toContain("wrong")
  })

  it("says of each what it can do, and how that was learnt", async () => {
    for (const [uri, row] of [
      [`s3://${env("S3_BUCKET")}`, /^ {2}parts +5\.00 MiB to 5\.00 GiB, .* \(vendor profile\)$/m],
      [object, /^ {2}object +64421888 bytes$/m],
      ["glance://prod", /^ {2}stores +fast \(default\), cheap \(probed\)$/m],
      ["swift://swift/images", /^ {2}largest +4\.88 TiB \(probed\)$/m],
      [join(folder, "any"), /^ {2}ranges +yes \(configured\)$/m],
      [folder, /^ {2}unfinished +can be gone on with, listed, given up \(configured\)$/m]
    ] as const) {
      const { code, stderr, stdout } = await headrace("stores", uri)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(stdout).toMatch(row)
    }
  })
})
