/**
 * The five ways in, written once: a file, standard input, a URL, an image of the service, and the library (with promises,
 * and with Effect). Each is a process as a user would start it, in a folder whose `clouds.yaml` names the service.
 */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, symlink, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { Receipt } from "headrace"
import { expect, it } from "vitest"
import { type Ended, program, random, run } from "./support/command.ts"
import type { PlainGlance } from "./support/plainGlance.ts"
import { read } from "./support/events.ts"

/** A service, and the folder whose `clouds.yaml` knows it as `prod`. */
export interface Place {
  readonly folder: string
  readonly glance: PlainGlance
}

/** More than one block and no round number; without the last bytes of a master boot record, which would be inspected. */
const source = random(2 * 1024 * 1024 + 345_678)
source[510] = 0

const digests = {
  md5: createHash("md5").update(source).digest("hex"),
  sha256: createHash("sha256").update(source).digest("hex"),
  sha512: createHash("sha512").update(source).digest("hex")
}

const upload = (place: Place, from: string, name: string, stdin?: Uint8Array): Promise<Ended> =>
  run(
    place.folder,
    ["upload", from, "--to", `glance://prod/${name}`, "--digest", "md5,sha256", "--json", "--progress", "none"],
    stdin === undefined ? undefined : { stdin }
  )

/** A program that prints the receipt, in a folder that has the packages installed. */
const embed = async ({ folder }: Place, name: string, text: string): Promise<Ended> => {
  const ours = join(import.meta.dirname, "..")
  const installed = {
    headrace: ours,
    effect: join(ours, "node_modules/effect"),
    "@headrace": join(ours, "node_modules/@headrace")
  }
  const modules = join(folder, "node_modules")
  if (!existsSync(modules)) {
    await mkdir(modules)
    await Promise.all(Object.entries(installed).map(([link, target]) => symlink(target, join(modules, link))))
    // A package of its own, whatever the folders above are.
    await writeFile(join(folder, "package.json"), `{ "name": "a-tool", "type": "module" }`)
  }
  await writeFile(join(folder, `${name}.js`), text)
  return program(folder, process.execPath, [`${name}.js`])
}

const withPromises = (name: string) => `
import { createReadStream } from "node:fs"
import { upload } from "headrace"

const transfer = upload(createReadStream("disk.img"), { to: ["glance://prod/${name}"], digest: ["md5", "sha256"] })
const types = new Set()
for await (const event of transfer.events) types.add(event.type)
if (!types.has("start") || !types.has("receipt")) throw new Error([...types].join())
console.log(JSON.stringify(await transfer.receipt))
`

const withEffect = (name: string) => `
import * as Effect from "effect/Effect"
import * as Transfer from "@headrace/core/Transfer"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as FileSource from "@headrace/node/FileSource"

const receipt = Transfer.run({
  source: FileSource.make("disk.img"),
  to: [GlanceStore.image({ cloud: "prod", name: "${name}" })],
  digest: ["md5", "sha256"]
})
console.log(JSON.stringify(await Effect.runPromise(receipt.pipe(Effect.provide(NodeHeadrace.layer)))))
`

interface Way {
  readonly name: string
  /** Makes the image of this name; the last line of the process's output is the receipt. */
  readonly send: (place: Place, name: string) => Promise<Ended>
}

const ways: ReadonlyArray<Way> = [
  { name: "a file", send: (place, name) => upload(place, "disk.img", name) },
  { name: "standard input", send: (place, name) => upload(place, "-", name, source) },
  {
    name: "a URL",
    send: async (place, name) => {
      const server = createServer((_, answer) => answer.writeHead(200, { "content-length": source.length }).end(source))
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      try {
        return await upload(place, `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.img`, name)
      } finally {
        server.close()
        server.closeAllConnections()
      }
    }
  },
  {
    name: "an image of the service",
    send: async (place, name) => {
      const id = await place.glance.put(`${name}-source`, source)
      const ended = await upload(place, `glance://prod/${name}-source`, name)
      await place.glance.remove(id)
      return ended
    }
  },
  { name: "the library, with promises", send: (place, name) => embed(place, name, withPromises(name)) },
  { name: "the library, with Effect", send: (place, name) => embed(place, name, withEffect(name)) }
]

const receiptOf = (ended: Ended): Receipt => {
  const [first, ...more] = ended.stdout.trimEnd().split("\n")
  // A program prints the receipt alone, the command its events.
  return more.length === 0 ? JSON.parse(first!) : (read(ended.stdout).at(-1) as unknown as Receipt)
}

/** Declares the ways as tests against a service that is there when they run. */
export const declare = (place: () => Place): void => {
  for (const [index, { name: way, send }] of ways.entries()) {
    it(way, async () => {
      const { folder, glance } = place()
      await writeFile(join(folder, "disk.img"), source)
      // Others may use the same service.
      const name = `way-${process.pid}-${index}`
      const ended = await send({ folder, glance }, name)
      expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: "" })

      const receipt = receiptOf(ended)
      expect(receipt.source).toMatchObject({ size: source.length, digests })
      expect(receipt.destinations).toHaveLength(1)
      const destination = receipt.destinations[0]!
      expect(destination).toMatchObject({ status: "verified", attempts: 1, bytesSent: source.length })
      expect(destination.object).toMatchObject({
        size: source.length,
        digests: { md5: digests.md5, sha512: digests.sha512 }
      })

      const { id } = destination.object!
      expect(await glance.record(id)).toMatchObject({
        name,
        status: "active",
        size: source.length,
        checksum: digests.md5,
        os_hash_algo: "sha512",
        os_hash_value: digests.sha512
      })
      expect(source).toEqual(new Uint8Array(await glance.bytes(id)))
      await glance.remove(id)
    })
  }
}
