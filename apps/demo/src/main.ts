/**
 * The demo: an image service on this machine, a disk image, an upload with its progress, and the proof. With file
 * names it uploads those instead of an image of its own.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { HeadraceError, type Receipt, upload } from "headrace"
import * as Progress from "headrace/Progress"
import * as Proof from "headrace/Proof"
import * as Disk from "./disk.ts"

const imageBytes = 1024 ** 3

const say = (...lines: ReadonlyArray<string>) => process.stdout.write(`${lines.join("\n")}\n`)

const stop = new AbortController()
const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }
let signalled: keyof typeof codes | undefined
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (signalled !== undefined) process.exit(codes[signalled])
    signalled = signal
    stop.abort()
  })
}

const startService = async (): Promise<{ readonly url: string; readonly process: ChildProcess }> => {
  const service = fork(fileURLToPath(new URL("./service.js", import.meta.url)), { stdio: "inherit" })
  const ended = once(service, "exit").then(() => {
    throw new Error("the image service ended before it was ready")
  })
  const [message] = await Promise.race([once(service, "message"), ended])
  ended.catch(() => {})
  return { url: (message as { readonly url: string }).url, process: service }
}

/** The upload, as any program would write it. */
const send = async (file: string, url: string): Promise<Receipt> => {
  const name = encodeURIComponent(path.basename(file))
  const transfer = upload(file, {
    to: `glance://envvars/${name}?store=fast`,
    env: { OS_AUTH_TYPE: "none", OS_ENDPOINT: url },
    signal: stop.signal
  })
  const display = Progress.make()
  for await (const event of transfer.events) display.event(event)
  display.end()
  return transfer.receipt
}

/** What the service says when it is asked by somebody else. */
const ask = async (url: string, receipt: Receipt) => {
  const id = receipt.destinations[0]?.object?.id
  if (id === undefined) return
  const answer = await fetch(`${url}/v2/images/${id}`)
  const image = (await answer.json()) as Readonly<Record<string, unknown>>
  say("", `What the service itself answers to GET /v2/images/${id}:`)
  for (const key of ["status", "size", "checksum", "os_hash_algo", "os_hash_value", "stores"]) {
    say(`  ${key.padEnd(13)}  ${String(image[key])}`)
  }
}

const next = () =>
  say(
    "",
    "With your own cloud, from this folder:",
    "  ./headrace upload disk.qcow2 --to 'glance://mycloud/disk'",
    "  ./headrace upload disk.qcow2 --to 'glance://mycloud/disk?store=fast&property.os_distro=alpine' --dry-run",
    "  ./headrace stores glance://mycloud",
    "  ./headrace sum disk.qcow2",
    "  ./headrace upload --help",
    "where mycloud is in ./clouds.yaml or ~/.config/openstack/clouds.yaml (or say envvars, for OS_*):",
    "  clouds:",
    "    mycloud:",
    "      auth:",
    "        auth_url: https://keystone.example.org/v3",
    "        username: me",
    "        password: secret",
    "        project_name: images",
    "        user_domain_name: Default",
    "        project_domain_name: Default",
    "More is in README.md and docs/; npm start -- FILE… runs this with files of your own."
  )

const run = async (files: ReadonlyArray<string>): Promise<number> => {
  say("Starting an image service on this machine: an embedded Glance, in a process of its own.")
  const service = await startService()
  let folder: string | undefined
  try {
    folder = await mkdtemp(path.join(tmpdir(), "headrace-demo-"))
    say(`It listens at ${service.url} and keeps nothing.`)
    let sources = files
    if (files.length === 0) {
      const disk = path.join(folder, "disk.raw")
      const { size, written } = await Disk.make(disk, imageBytes)
      const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`
      say(`Made a disk image of ${mebibytes(size)}, ${mebibytes(written)} of it random, the rest holes: ${disk}`)
      sources = [disk]
    }
    for (const file of sources) {
      const receipt = await send(file, service.url)
      say("", ...Proof.lines(receipt))
      await ask(service.url, receipt)
    }
    next()
    return 0
  } catch (error) {
    if (error instanceof HeadraceError) {
      process.stderr.write(`headrace: ${error.uri}: ${error.message} (left behind: ${error.left})\n`)
    } else if (error instanceof Error && "errno" in error) {
      // the system's: no room for the disk image, for one
      process.stderr.write(`headrace: ${folder ?? tmpdir()}: ${error.message}\n`)
    } else throw error
    return signalled === undefined ? 1 : codes[signalled]
  } finally {
    if (service.process.connected) service.process.disconnect()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
}

process.exitCode = await run(process.argv.slice(2))
