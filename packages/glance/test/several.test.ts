/** One file to several services at once, over sockets, with digests in workers. */
import { createHash, randomBytes } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as MemoryStore from "@headrace/core/MemoryStore"
import type { Source } from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as FileSource from "@headrace/node/FileSource"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "vitest"

const bytes = randomBytes(40 * 1024 * 1024 + 11)
const sha512 = createHash("sha512").update(bytes).digest("hex")

describe("a file to several services at once", () => {
  let folder = ""
  let path = ""
  let glances: ReadonlyArray<EmbeddedGlance.EmbeddedGlance> = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "headrace-several-"))
    path = join(folder, "disk.img")
    await writeFile(path, bytes)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))
  beforeEach(async () => {
    glances = await Promise.all([EmbeddedGlance.start(), EmbeddedGlance.start({ manner: "eventlet" })])
  })
  afterEach(() => Promise.all(glances.map((glance) => glance.close())))

  /** The file, and where it was opened. */
  const watched = () => {
    const opened: Array<number> = []
    const file = FileSource.make(path)
    let read = 0
    const source: Source = {
      ...file,
      open: (offset) => {
        opened.push(offset)
        return Stream.tap(file.open(offset), (block) => Effect.sync(() => (read += block.length)))
      }
    }
    return { source, opened, read: () => read }
  }

  const image = (endpoint: string) => GlanceStore.image({ endpoint, name: "disk" })

  const run = async (options: Transfer.Options<never, NodeHeadrace.Services>) => {
    const events: Array<TransferEvent> = []
    const onEvent = (event: TransferEvent) => Effect.sync(() => void events.push(event))
    const exit = await Effect.runPromiseExit(
      Transfer.run({ ...options, onEvent }).pipe(
        Effect.provide(NodeHeadrace.layerWith({ memoryBytes: 32 * 1024 * 1024 }))
      )
    )
    const receipt = events.findLast((event) => event.type === "receipt")!
    return { exit, events, ends: receipt.destinations, digests: receipt.source.digests }
  }

  it("reads it once, and proves what each has", async () => {
    const memory = MemoryStore.make({ shape: "parts", reports: ["sha256"] })
    const { opened, read, source } = watched()
    const { digests, ends, exit } = await run({
      source,
      to: [...glances.map(({ url }) => image(url)), memory.object("disk")]
    })
    assert.isTrue(Exit.isSuccess(exit))
    assert.deepStrictEqual(
      ends.map(({ proof, status }) => ({ status, by: proof?.compared })),
      [
        { status: "verified", by: ["md5", "sha512"] },
        { status: "verified", by: ["md5", "sha512"] },
        { status: "verified", by: ["sha256"] }
      ]
    )
    assert.strictEqual(digests.sha512, sha512)
    for (const glance of glances) assert.strictEqual(glance.images.list()[0]?.hashValue, sha512)
    assert.isTrue(Buffer.from(memory.objects.get("disk")!).equals(bytes))
    assert.deepStrictEqual(opened, [0])
    assert.strictEqual(read(), bytes.byteLength)
  })

  it("keeps no service waiting for one that is slow, or that has gone", async () => {
    const [fast, other] = glances as [EmbeddedGlance.EmbeddedGlance, EmbeddedGlance.EmbeddedGlance]
    const slow = await FaultProxy.start({
      target: { port: other.port },
      faults: [{ type: "slowRequest", bytesPerSecond: 12_000_000 }]
    })
    const { opened, source } = watched()
    try {
      const { ends, events, exit } = await run({
        source,
        to: [image(slow.url), image(fast.url)],
        also: [image("http://127.0.0.1:1")],
        retries: 0
      })
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(
        ends.map(({ error, status }) => error?.reason ?? status),
        ["verified", "verified", "ConnectionLost"]
      )
      assert.isBelow(ends[1]!.elapsedMs * 2, ends[0]!.elapsedMs)
      assert.isAbove(opened.length, 1)
      assert.strictEqual(events.at(-1)?.type, "receipt")
      assert.strictEqual(other.images.list()[0]?.hashValue, sha512)
    } finally {
      await slow.close()
    }
  })

  it("sends again to the one whose connection broke, and to no other", async () => {
    const [steady, broken] = glances as [EmbeddedGlance.EmbeddedGlance, EmbeddedGlance.EmbeddedGlance]
    broken.faults.push({ type: "drop", at: { afterBytes: 10_000_000 }, how: "reset" })
    const { ends, exit } = await run({ source: watched().source, to: glances.map(({ url }) => image(url)) })
    assert.isTrue(Exit.isSuccess(exit))
    assert.deepStrictEqual(
      ends.map(({ attempts, status }) => [status, attempts]),
      [
        ["verified", 1],
        ["verified", 2]
      ]
    )
    for (const glance of [steady, broken]) assert.strictEqual(glance.images.list()[0]?.hashValue, sha512)
  })
})
