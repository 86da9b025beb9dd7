/** Batches: many images at once, from cloud to cloud, and manifests of up to a million lines. */
import { execFileSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { type Bench, headrace, peer, ratio, type Row, runInTurns } from "../bench.ts"
import { type Environment, type Figures, median, measure } from "../measure.ts"
import * as Sink from "../sink.ts"

const mebibyte = 1024 * 1024

const cpu = (figures: Figures) => figures.user + figures.sys

/** Books are kept of each run anew. */
const booksOf = (manifest: string) => async (): Promise<void> => {
  for (const end of ["journal", "journal-lock", "journal-wal", "journal-shm"]) {
    await rm(`${manifest}.${end}`, { force: true })
  }
}

const ours = (name: string, manifest: string, env: Environment, ...more: ReadonlyArray<string>): Row => ({
  name,
  command: [...headrace, "run", manifest, "--progress", "none", ...more],
  env,
  after: booksOf(manifest)
})

const table = async (bench: Bench, title: string, count: number, mib: number, rows: ReadonlyArray<Row>) => {
  const all = await runInTurns(bench, rows)
  bench.say(
    "",
    `### ${title}`,
    "",
    "| client | wall s | MiB/s | CPU ms an image | RSS MiB | speed | CPU |",
    "|---|---|---|---|---|---|---|"
  )
  for (const [index, { name }] of rows.entries()) {
    const figures = all[index]!
    const wall = median(figures.map((one) => one.wall))
    const speed = (1 / ratio(figures, all[0]!, (one) => one.wall)).toFixed(2)
    const each = ((median(figures.map(cpu)) * 1000) / count).toFixed(1)
    const rss = (median(figures.map((one) => one.rssTree)) / 1024).toFixed(0)
    const more = ratio(figures, all[0]!, cpu).toFixed(2)
    bench.say(
      `| ${name} | ${wall.toFixed(2)} | ${(mib / wall).toFixed(0)} | ${each} | ${rss} | ${speed} × | ${more} × |`
    )
  }
}

/** To one sink, from one file. */
const uploads = async (bench: Bench, count: number, mib: number) => {
  const file = join(bench.folder, `small-${mib}`)
  writeFileSync(file, "")
  truncateSync(file, mib * mebibyte)
  const manifest = join(bench.folder, `uploads-${mib}.ndjson`)
  const lines = Array.from({ length: count }, (_, at) =>
    JSON.stringify({ id: `i${at}`, source: file, to: [`glance://envvars/i${at}`] })
  )
  writeFileSync(manifest, lines.join("\n"))
  const { url } = bench.sink
  const env = { OS_AUTH_TYPE: "none", OS_ENDPOINT: url }
  await table(bench, `${count} × ${mib} MiB to a Glance sink, each with its sha512`, count, count * mib, [
    ...(bench.python === undefined
      ? []
      : [
          {
            name: "openstacksdk, one process, no checksum",
            command: [bench.python, peer("upload.py"), url, `${count}`, file]
          }
        ]),
    ours("headrace run", manifest, env),
    ours("headrace run, `--hasher native`", manifest, env, "--hasher", "native")
  ])
  await rm(file)
}

/** From a service that has images to one that throws them away. */
const moves = async (bench: Bench, count: number, mib: number) => {
  const program = join(bench.folder, "sink")
  const old = await Sink.start(program, undefined, undefined, { SINK_IMAGE_MIB: String(mib) })
  try {
    const clouds = join(bench.folder, "clouds.yaml")
    const entry = (name: string, url: string) => `  ${name}: {auth_type: none, auth: {endpoint: "${url}"}}\n`
    writeFileSync(clouds, `clouds:\n${entry("old", old.url)}${entry("new", bench.sink.url)}`)
    const manifest = join(bench.folder, "moves.ndjson")
    const lines = Array.from({ length: count }, (_, at) => {
      const id = `7d1f6d3a-6f0e-4f4f-9d9d-${String(at).padStart(12, "0")}`
      return JSON.stringify({
        id: `m${at}`,
        source: `glance://old/${id}`,
        to: [`glance://new/m${at}`],
        size: mib * mebibyte
      })
    })
    writeFileSync(manifest, lines.join("\n"))
    const env = { OS_CLIENT_CONFIG_FILE: clouds }
    const sdk = (name: string, how: string): ReadonlyArray<Row> =>
      bench.python === undefined
        ? []
        : [{ name, command: [bench.python, peer("move.py"), old.url, bench.sink.url, `${count}`, how] }]
    await table(bench, `${count} × ${mib} MiB from Glance to Glance`, count, count * mib, [
      ...sdk("openstacksdk, through a file", "file"),
      ...sdk("openstacksdk, streamed", "streamed"),
      ours("headrace run", manifest, env),
      ours("headrace run, `--hasher native`", manifest, env, "--hasher", "native")
    ])
  } finally {
    old.stop()
  }
}

const writeLines = (path: string, count: number): void => {
  const file = openSync(path, "w")
  const piece = 10_000
  for (let at = 0; at < count; at += piece) {
    const lines = Array.from({ length: Math.min(piece, count - at) }, (_, index) =>
      JSON.stringify({ id: `line-${at + index}`, source: "memory:", to: [`nowhere:${at + index}`], size: 4096 })
    )
    writeSync(file, `${lines.join("\n")}\n`)
  }
  closeSync(file)
}

/** Objects of 4 KiB of memory into nowhere: what is measured is the books. */
const scale = async (bench: Bench, counts: ReadonlyArray<number>) => {
  bench.say(
    "",
    "### Lines of 4 KiB into nowhere, with a journal",
    "",
    "| lines | wall s | with a journal that keeps nothing: s | the journal's part | RSS MiB | again, all done: s | journal MiB |",
    "|---|---|---|---|---|---|---|"
  )
  // On a disk: a journal in memory is made durable in no time.
  const folder = execFileSync("mktemp", ["-d"], { encoding: "utf8" }).trim()
  try {
    for (const count of counts) {
      const manifest = join(folder, `${count}.ndjson`)
      const journal = join(folder, randomUUID())
      writeLines(manifest, count)
      const run = (...args: ReadonlyArray<string>) =>
        measure(bench.measure, [process.execPath, bench.program("batch"), manifest, ...args])
      const plain = await run()
      const kept = await run(journal)
      const again = await run(journal)
      const size = Number(execFileSync("stat", ["-c", "%s", journal], { encoding: "utf8" })) / mebibyte
      const more = ((kept.wall / plain.wall - 1) * 100).toFixed(0)
      bench.say(
        `| ${count.toLocaleString("en")} | ${kept.wall.toFixed(1)} | ${plain.wall.toFixed(1)} | ${more} % | ` +
          `${(kept.rssTree / 1024).toFixed(0)} | ${again.wall.toFixed(1)} | ${size.toFixed(0)} |`
      )
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export const batch = async (bench: Bench): Promise<void> => {
  await uploads(bench, 1000, 1)
  await uploads(bench, 200, 4)
  await moves(bench, 20, 64)
}

export const lines = (bench: Bench): Promise<void> => scale(bench, [100_000, 1_000_000])
