/**
 * What the sections share: where things are, and how rows are run and shown.
 */
import { fileURLToPath } from "node:url"
import { type Environment, type Figures, measure, median } from "./measure.ts"
import type { Sink } from "./sink.ts"

export interface Bench {
  /** A folder in memory, for files that are read again and again. */
  readonly folder: string
  /** Random bytes, `gib` of them. */
  readonly file: string
  readonly gib: number
  readonly rounds: number
  /** The compiled `measure`. */
  readonly measure: string
  readonly sink: Sink
  /** The program that only sends, bundled into one file. */
  readonly pipeline: string
  /** The program that writes to S3, bundled into one file. */
  readonly s3: string
  readonly program: (name: "alone" | "many" | "batch") => string
  /** A Python with openstacksdk, where there is one. */
  readonly python: string | undefined
  readonly say: (...lines: ReadonlyArray<string>) => void
}

export interface Row {
  readonly name: string
  readonly command: ReadonlyArray<string>
  readonly env?: Environment
  /** Run, unmeasured, after each run: what it made is taken away. */
  readonly after?: () => Promise<unknown>
}

/** The command as it is installed. */
export const headrace: ReadonlyArray<string> = [
  process.execPath,
  fileURLToPath(new URL("../../../packages/headrace/dist/command/headrace.js", import.meta.url))
]

export const peer = (name: string): string => fileURLToPath(new URL(`../peers/${name}`, import.meta.url))

/** Commands at once, a process each: what the machine can do of their work at best. Their words must need no quotes. */
export const atOnce = (...commands: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => [
  peer("at-once.sh"),
  ...commands.map((words) => words.join(" "))
]

/** Of a service that asks nobody who is there. */
export const cloudAt = (url: string): Environment => ({ OS_AUTH_TYPE: "none", OS_ENDPOINT: url })

export const imageUrl = (base: string): string => `${base}/v2/images/7d1f6d3a-6f0e-4f4f-9d9d-000000000001/file`

/** Runs the rows in turns, so that a machine that is slow for a while is so for all; a first round only warms up. */
export const runInTurns = async (
  bench: Bench,
  rows: ReadonlyArray<Row>,
  { rounds, warmUp }: { readonly rounds: number; readonly warmUp: boolean } = { rounds: bench.rounds, warmUp: true }
): Promise<ReadonlyArray<ReadonlyArray<Figures>>> => {
  const all: Array<Array<Figures>> = rows.map(() => [])
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    for (const [index, row] of rows.entries()) {
      const figures = await measure(bench.measure, row.command, row.env)
      if (round >= 0) all[index]!.push(figures)
      await row.after?.()
    }
  }
  return all
}

/** The ratio of a row to the first one: the median of the rounds' own ratios. */
export const ratio = (
  figures: ReadonlyArray<Figures>,
  first: ReadonlyArray<Figures>,
  of: (figures: Figures) => number
): number => median(figures.map((one, round) => of(one) / of(first[round]!)))

const cpu = (figures: Figures) => figures.user + figures.sys

/**
 * Rows side by side: medians, and each row's speed and CPU time compared with the first row's. Gives the figures of each
 * round.
 */
export const compare = async (bench: Bench, title: string, rows: ReadonlyArray<Row>, gib = bench.gib) => {
  const all = await runInTurns(bench, rows)
  bench.say(
    "",
    `### ${title}`,
    "",
    "| client | wall s | MiB/s | CPU s/GiB | RSS MiB | speed | CPU |",
    "|---|---|---|---|---|---|---|",
    ...rows.map(({ name }, index) => {
      const figures = all[index]!
      const wall = median(figures.map((one) => one.wall))
      const speed = 1 / ratio(figures, all[0]!, (one) => one.wall)
      return [
        "",
        name,
        wall.toFixed(2),
        ((gib * 1024) / wall).toFixed(0),
        (median(figures.map(cpu)) / gib).toFixed(2),
        (median(figures.map((one) => one.rssTree)) / 1024).toFixed(0),
        `${speed.toFixed(2)} ×`,
        `${ratio(figures, all[0]!, cpu).toFixed(2)} ×`,
        ""
      ]
        .join(" | ")
        .trim()
    })
  )
  return all
}
