import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { mkdtemp, rm } from "node:fs/promises"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Kill from "./support/batchKill.ts"
import { cloud } from "./support/command.ts"

/** More by hand: HEADRACE_KILLS=200 HEADRACE_KILL_LINES=300. */
const kills = Number(process.env["HEADRACE_KILLS"] ?? 8)
const lines = Number(process.env["HEADRACE_KILL_LINES"] ?? 60)

const fromFile = async (name: string, bytes: Uint8Array, folder: string) => {
  await writeFile(join(folder, name), bytes)
  return name
}

describe("kill -9 of a batch", () => {
  let glance: EmbeddedGlance.EmbeddedGlance
  beforeAll(async () => {
    glance = await EmbeddedGlance.start({ manner: "uwsgi" })
  })
  afterAll(() => glance.close())

  it(`from files to images, ${kills} times`, { timeout: 600_000 }, async () => {
    const figures = await Kill.killAgainAndAgain(
      {
        clouds: cloud("emb", glance.url),
        source: fromFile,
        destination: (name) => `glance://emb/${name}?protected=true&property.a=b`,
        things: async (prefix) =>
          Promise.all(
            glance.images
              .list()
              .filter(({ name }) => name?.startsWith(prefix))
              .map(async ({ id, name, status, stores }) => {
                const bytes = await glance.images.bytes(id, stores[0])
                return { name: name!, status, sha512: bytes === undefined ? undefined : Kill.sha512(bytes) }
              })
          )
      },
      { lines, kills, mostMs: 700 }
    )
    console.log(JSON.stringify(figures))
    expect(figures.killed).toBeGreaterThan(0)
  })

  it(`from files to files, ${kills} times`, { timeout: 600_000 }, async () => {
    const out = await mkdtemp(join(tmpdir(), "headrace-kill-"))
    try {
      await mkdir(join(out, "o"))
      const figures = await Kill.killAgainAndAgain(
        {
          clouds: cloud("emb", glance.url),
          source: fromFile,
          destination: (name) => join(out, "o", name),
          // Nothing else may lie there: no partial file.
          things: async () =>
            Promise.all(
              (await readdir(join(out, "o"))).map(async (name) => ({
                name,
                status: "active",
                sha512: Kill.sha512(await readFile(join(out, "o", name)))
              }))
            )
        },
        { lines, kills, mostMs: 400 }
      )
      console.log(JSON.stringify(figures))
    } finally {
      await rm(out, { recursive: true })
    }
  })
})
