/**
 * Batches that are killed with `kill -9` again and again, at random moments, and begun again by the same command: at the end
 * every line has one verdict and one object, and nothing is left that the service should not have.
 */
import { createHash } from "node:crypto"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type { Receipt } from "headrace"
import { expect } from "vitest"
import { folder as makeFolder, random, run } from "./command.ts"

/** What a service has, asked without any of our code. */
export interface Thing {
  readonly name: string
  readonly status: string
  readonly sha512: string | undefined
}

export interface Bed {
  readonly clouds: string
  readonly variables?: Readonly<Record<string, string>>
  /** The source of a line, made before the first run. */
  readonly source: (name: string, bytes: Uint8Array, folder: string) => Promise<string>
  readonly destination: (name: string) => string
  /** All that is there under names that begin so. */
  readonly things: (prefix: string) => Promise<ReadonlyArray<Thing>>
}

export const sha512 = (bytes: Uint8Array): string => createHash("sha512").update(bytes).digest("hex")

/** What a kill test counted. */
export interface Figures {
  readonly rounds: number
  readonly killed: number
  readonly lines: number
}

const sizes = [1024, 4096, 65_536, 300_000, 1_500_000]

export const killAgainAndAgain = async (
  bed: Bed,
  options: {
    readonly lines: number
    readonly kills: number
    readonly mostMs: number
    readonly args?: ReadonlyArray<string>
  }
): Promise<Figures> => {
  const folder = await makeFolder(bed.clouds)
  try {
    const prefix = `k${process.pid}-${Math.floor(performance.now())}-`
    const names = Array.from({ length: options.lines }, (_, at) => `${prefix}${at}`)
    const digests = new Map<string, string>()
    const lines: Array<string> = []
    for (const [at, name] of names.entries()) {
      const bytes = random(sizes[at % sizes.length]! + at)
      digests.set(name, sha512(bytes))
      const source = await bed.source(name, bytes, folder)
      lines.push(JSON.stringify({ id: name, source, to: [bed.destination(name)], size: bytes.length }))
    }
    await writeFile(join(folder, "m.ndjson"), `${lines.join("\n")}\n`)
    const command = (during?: (child: { kill: (signal: NodeJS.Signals) => boolean }) => void) =>
      run(folder, ["run", "m.ndjson", "--receipts", "r.ndjson", "--progress", "none", ...(options.args ?? [])], {
        env: { ...bed.variables, XDG_STATE_HOME: join(folder, "state") },
        patienceMs: 180_000,
        ...(during === undefined ? undefined : { during })
      })

    let rounds = 0
    let killed = 0
    while (killed < options.kills) {
      rounds++
      const ms = 150 + Math.random() * options.mostMs
      const ended = await command((child) => void setTimeout(() => child.kill("SIGKILL"), ms))
      if (ended.signal === "SIGKILL") killed++
      // It has come to its end before: the rest of the kills hit runs that have nothing to do.
      else if (ended.code === 0 && rounds > options.kills) break
      else expect(ended.code, ended.stderr).toBe(0)
    }
    const last = await command()
    expect(last).toMatchObject({ code: 0, stderr: "" })

    const receipts = (await readFile(join(folder, "r.ndjson"), "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Receipt)
    expect(receipts.map(({ id }) => id).sort()).toEqual([...names].sort())
    for (const receipt of receipts) {
      const [end] = receipt.destinations
      expect(["verified", "stored"]).toContain(end!.status)
      // What was taken over is known by the digest that the source's service has.
      expect(receipt.source.digests.sha512 ?? digests.get(receipt.id)).toBe(digests.get(receipt.id))
    }

    // A request that was on its way when its program was killed may still be served.
    await sleep(1000)
    const things = await bed.things(prefix)
    expect(things.map(({ name }) => name).sort()).toEqual([...names].sort())
    for (const { name, sha512, status } of things) {
      expect({ name, status }).toEqual({ name, status: "active" })
      expect(sha512).toBe(digests.get(name))
    }
    return { rounds, killed, lines: names.length }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
