/** What the documents promise, run as it is written, from packages that are installed in an empty folder. */
import { createHash, randomBytes } from "node:crypto"
import { chmod, mkdir, readdir, readFile, symlink } from "node:fs/promises"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Documents from "../../../scripts/test/support/documents.ts"
import { type Installed, install } from "./support/installed.ts"
import * as Site from "./support/site.ts"

const readme = (name: string) => `packages/${name}/README.md`
const packages = ["batch", "core", "glance", "headrace", "keystone", "node", "testkit"]
const documents = ["README.md", "docs/pipelines.md", ...packages.map(readme)]
/** What these speak of is not here: a web server, a bucket, a folder at the root. Adapters' own tests run the same. */
const others = ["fs", "http", "s3", "swift"]

/** The two programs that users were promised, line by line; the second is given its `signal` in the README. */
const promised = [
  [
    'import { Effect } from "effect"',
    'import * as Transfer from "@headrace/core/Transfer"',
    'import * as GlanceStore from "@headrace/glance/GlanceStore"',
    'import * as NodeHeadrace from "@headrace/node/NodeHeadrace"',
    'import * as FileSource from "@headrace/node/FileSource"',
    "",
    "const receipt = Transfer.run({",
    '  source: FileSource.make("disk.qcow2"),',
    '  to: [GlanceStore.image({ cloud: "prod", name: "disk", store: "fast" })]',
    "})",
    "Effect.runPromise(receipt.pipe(Effect.provide(NodeHeadrace.layer)))"
  ],
  [
    'import { upload } from "headrace"',
    "",
    'const transfer = upload("disk.qcow2", { to: ["glance://prod/disk?store=fast"], limit: "50MiB/s", signal })',
    "for await (const event of transfer.events) console.log(event.type)",
    "const receipt = await transfer.receipt   // rejects with HeadraceError { reason, retryable, left, receipt }"
  ]
]
const programs = Documents.blocks("README.md", "ts")

let installed: Installed
beforeAll(async () => {
  installed = await install()
})
afterAll(() => installed.remove())

const run = (command: string, ...args: ReadonlyArray<string>) => installed.run(command, args)
const ok = { code: 0, signal: null, stderr: "" }

/** Puts a program there and runs it. */
const runCode = async (name: string, code: string) => {
  await installed.write(name, code)
  return run("node", name)
}

const checkPrograms = async (site: Site.Site, disk: Uint8Array) => {
  await installed.write("clouds.yaml", site.clouds)
  await installed.write("disk.qcow2", disk)
  assert.deepStrictEqual(await runCode("one.mjs", programs[0]!), { ...ok, stdout: "" })
  const second = await runCode("two.mjs", programs[1]!)
  assert.deepStrictEqual({ ...second, stdout: "" }, { ...ok, stdout: "" })
  assert.match(second.stdout, /^start\n(progress\n)*verdict\nreceipt\n$/)
  const images = await site.images()
  assert.strictEqual(images.length, 2)
  for (const { bytes, status, stores } of images) {
    assert.deepStrictEqual([status, stores], ["active", ["fast"]])
    assert.isTrue(bytes !== undefined && Buffer.from(disk).equals(bytes))
  }
}

describe("the two programs of the README", () => {
  it("are the promised ones", () => {
    const lines = programs.map((code) => code.trimEnd().split("\n"))
    assert.deepStrictEqual(
      lines.map((program) => program.filter((line) => !line.startsWith("const signal = "))),
      promised
    )
  })

  it("run, and end by themselves", async () => {
    const site = await Site.embedded()
    try {
      await checkPrograms(site, randomBytes(3_000_000))
    } finally {
      await site.close()
    }
  })

  it("end with an error that says why, when there is no such store", async () => {
    const site = await Site.embedded()
    try {
      await installed.write("clouds.yaml", site.clouds)
      await installed.write("disk.qcow2", randomBytes(100_000))
      for (const [name, code] of programs.entries()) {
        const ended = await runCode(`wrong-${name}.mjs`, code.replace(/fast/, "slow"))
        assert.strictEqual(ended.code, 1)
        assert.match(ended.stderr, /UnknownStore/)
        assert.match(ended.stderr, /slow/)
      }
      assert.isEmpty(await site.images())
    } finally {
      await site.close()
    }
  })

  it.skipIf(process.env["HEADRACE_TESTBED_GLANCE"] === undefined)("run against the real Glance", async () => {
    const disk = Buffer.concat([await readFile(process.env["HEADRACE_TESTBED_QCOW2"]!), randomBytes(64)])
    const site = await Site.real(process.env, disk)
    try {
      await checkPrograms(site, disk)
    } finally {
      await site.close()
    }
  })

  it("have the right types, without Node's being installed", async () => {
    for (const [name, code] of programs.entries()) await installed.write(`program-${name}.ts`, code)
    assert.strictEqual(await installed.typeCheck(["program-0.ts", "program-1.ts"]), "")
  })
})

describe("modules", () => {
  /** What can be imported of a package by path, and what is there and cannot be. */
  const modulesOf = async (name: string) => {
    const specifier = name === "headrace" ? name : `@headrace/${name}`
    const dist = join(installed.folder, "node_modules", specifier, "dist")
    const files = (await readdir(dist, { recursive: true })).filter((file) => file.endsWith(".js"))
    const isOpen = (file: string) =>
      name === "headrace" ? /^(index|Progress|Proof)\.js$/.test(file) : !file.startsWith("internal/")
    const toSpecifier = (file: string) => (file === "index.js" ? specifier : `${specifier}/${file.slice(0, -3)}`)
    return {
      open: files.filter(isOpen).map(toSpecifier),
      closed: files.filter((file) => !isOpen(file)).map(toSpecifier)
    }
  }

  it("are all importable by path, and internal ones are closed", async () => {
    const all = await Promise.all([...packages, ...others].map(modulesOf))
    for (const { closed, open } of all) assert.isTrue(open.length > 0 && closed.length > 0)
    const open = all.flatMap((one) => one.open)
    const closed = all.flatMap((one) => one.closed)
    const outcome = await runCode(
      "modules.mjs",
      `for (const name of ${JSON.stringify([...open, ...closed])}) {
        const code = await import(name).then((module) => Object.keys(module).length >= 0, ({ code }) => code)
        console.log(name, code)
      }`
    )
    const expected = [
      ...open.map((name) => `${name} true\n`),
      ...closed.map((name) => `${name} ERR_PACKAGE_PATH_NOT_EXPORTED\n`)
    ]
    assert.deepStrictEqual(outcome, { ...ok, stdout: expected.join("") })
    const types = [
      ...open.map((name, index) => `import type * as Open${index} from "${name}"`),
      ...closed.map((name, index) => `// @ts-expect-error closed\nimport type * as Closed${index} from "${name}"`)
    ]
    await installed.write("modules.ts", `${types.join("\n")}\n`)
    assert.strictEqual(await installed.typeCheck(["modules.ts"], ["node"]), "")
  })
})

describe("documents", () => {
  let site: Site.Site
  const disk = randomBytes(1_500_000)
  beforeAll(async () => {
    site = await Site.embedded()
    await installed.write("clouds.yaml", site.clouds)
    await installed.write("disk.qcow2", disk)
    const source = await run("node_modules/.bin/headrace", "upload", "disk.qcow2", "--to", "glance://old/ubuntu")
    assert.strictEqual(source.code, 0)
  })
  afterAll(() => site.close())

  const blocksOf = (document: string) =>
    Documents.blocks(document, "ts").map((code, index) => ({
      title: `${document}, block ${index + 1}`,
      name: `${document.replace(/\W+/g, "-")}-${index + 1}`,
      code
    }))
  const blocks = documents.flatMap(blocksOf)
  const all = [...documents, ...others.map(readme)].flatMap(blocksOf)

  it("every document has code, and every package a document", () => {
    for (const document of [...documents, ...others.map(readme)])
      assert.isNotEmpty(Documents.blocks(document, "ts"), document)
  })

  it("the types of all code are right", async () => {
    for (const { code, name } of all) await installed.write(`${name}.ts`, code)
    assert.strictEqual(
      await installed.typeCheck(
        all.map(({ name }) => `${name}.ts`),
        ["node"]
      ),
      ""
    )
  })

  it.each(blocks)("$title runs, and ends by itself", async ({ code, name }) => {
    await installed.write(`run-${name}.ts`, code)
    const { code: exit, signal, stderr } = await run("node", "--disable-warning=ExperimentalWarning", `run-${name}.ts`)
    assert.deepStrictEqual([exit, signal], [0, null], stderr)
    // a progress display says one thing there
    assert.match(stderr, /^(glance:\S+: verified\n)?$/)
  })

  const section = /^## The command\n([\s\S]*?)^## /m.exec(Documents.read("README.md"))?.[1] ?? ""
  const commands = section.split("\n").filter((line) => /^ {4}\S/.test(line))
  const ofS3 = commands.filter((line) => line.includes("s3://"))

  it("every command of the README does what it says", async () => {
    assert.strictEqual(commands.length, 7)
    // a checkout's launcher, and somebody else's server, are not here
    await symlink("node_modules/.bin/headrace", join(installed.folder, "headrace"))
    await mkdir(join(installed.folder, "bin"))
    await installed.write("bin/curl", `#!/bin/sh\nexec cat disk.raw.gz\n`)
    await chmod(join(installed.folder, "bin/curl"), 0o755)
    await installed.write("disk.raw.gz", gzipSync(disk))
    const before = (await site.images()).length
    for (const command of commands.filter((line) => !ofS3.includes(line))) {
      const ended = await run("sh", "-c", `PATH=$PWD/bin:$PATH; ${command}`)
      assert.strictEqual(ended.code, 0, `${command}: ${ended.stderr}`)
    }
    const after = await site.images()
    assert.strictEqual(after.length, before + 2)
    for (const { bytes } of after) assert.isTrue(bytes !== undefined && disk.equals(Buffer.from(bytes)))
  })

  const s3 = (name: string) => process.env[`HEADRACE_TESTBED_S3${name}`] ?? ""

  it.skipIf(s3("") === "")("and those that speak of S3, with a real one", async () => {
    assert.strictEqual(ofS3.length, 3)
    const variables = {
      AWS_ENDPOINT_URL_S3: s3(""),
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: s3("_ACCESS_KEY"),
      AWS_SECRET_ACCESS_KEY: s3("_SECRET_KEY")
    }
    const settings = Object.entries(variables).map(([name, value]) => `${name}='${value}'`)
    await installed.write(
      "bucket.mjs",
      `import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
      await new S3Client({ forcePathStyle: true }).send(new CreateBucketCommand({ Bucket: "images" })).catch((error) => {
        if (error.name !== "BucketAlreadyOwnedByYou") throw error
      })`
    )
    await mkdir(join(installed.folder, "backup"))
    const outputs: Array<string> = []
    for (const command of ["node bucket.mjs", ...ofS3]) {
      const ended = await run("sh", "-c", `export ${settings.join(" ")}; ${command}`)
      assert.strictEqual(ended.code, 0, `${command}: ${ended.stderr}`)
      outputs.push(ended.stdout)
    }
    const [, upload, stores, gc] = outputs
    assert.match(upload!, /^verified s3:\/\/images\/disk\.qcow2$/m)
    assert.isTrue(disk.equals(await readFile(join(installed.folder, "backup/disk.qcow2"))))
    assert.match(stores!, /^ {2}digests +crc64nvme \(vendor profile\)$/m)
    assert.match(gc!, /^(nothing was left|\d+ unfinished uploads?)/)
  })

  it("the command is there, by npx and by path", async () => {
    const help = await run("npx", "headrace", "--help")
    assert.deepStrictEqual({ ...help, stdout: "" }, { ...ok, stdout: "" })
    assert.match(help.stdout, /headrace <subcommand>/)
    const sum = createHash("sha512").update(disk).digest("hex")
    assert.deepStrictEqual(await run("node_modules/.bin/headrace", "sum", "disk.qcow2"), {
      ...ok,
      stdout: `${sum}  disk.qcow2\n`
    })
  })
})
