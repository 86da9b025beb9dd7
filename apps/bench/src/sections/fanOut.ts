/** One read to several destinations, and the same one after the other. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Bench, compare, headrace, type Row, runInTurns } from "../bench.ts"
import { compile, type Figures, median } from "../measure.ts"
import * as Sink from "../sink.ts"

/** MiB a second: less than one process can send to two, so that the destinations are the limit. */
const destinationRate = 150

/** Seconds after which an upload to one that takes 1 MiB a second is stopped: the others are done by then. */
const slowSeconds = 30

const mib = 1024 ** 2

const clouds = (folder: string, urls: Readonly<Record<string, string>>): string => {
  const file = join(folder, "clouds.yaml")
  const entries = Object.entries(urls).map(
    ([name, url]) => `  ${name}:\n    auth_type: none\n    auth:\n      endpoint: ${url}\n`
  )
  writeFileSync(file, `clouds:\n${entries.join("")}`)
  return file
}

const quoted = (words: ReadonlyArray<string>): string => words.map((word) => `'${word}'`).join(" ")

export const fanOut = async (bench: Bench): Promise<void> => {
  const program = join(bench.folder, "sink")
  const paced = await Promise.all([1, 2].map(() => Sink.start(program, undefined, destinationRate)))
  const slow = await Sink.start(program, undefined, 1)
  const s3 = await Sink.start(compile(bench.folder, "s3sink"))
  try {
    const [one, two] = paced.map(({ url }) => url)
    const env = {
      OS_CLIENT_CONFIG_FILE: clouds(bench.folder, { one: one!, two: two!, fast: bench.sink.url, slow: slow.url }),
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ACCESS_KEY_ID: "k",
      AWS_SECRET_ACCESS_KEY: "s",
      AWS_REGION: "us-east-1",
      XDG_STATE_HOME: join(bench.folder, "state")
    }
    const upload = (...ends: ReadonlyArray<string>): ReadonlyArray<string> => [
      ...headrace,
      "upload",
      bench.file,
      "--progress",
      "none",
      ...ends.flatMap((end) => ["--to", end])
    ]
    const rows: ReadonlyArray<Row> = [
      {
        name: "one run after the other",
        command: ["sh", "-c", `${quoted(upload("glance://one/disk"))} && ${quoted(upload("glance://two/disk"))}`],
        env
      },
      { name: "one run to both", command: upload("glance://one/disk", "glance://two/disk"), env }
    ]
    const title = `One file to two sinks that take ${destinationRate} MiB/s each, sha512`
    const all = await compare(bench, title, rows, 2 * bench.gib)
    const read = (figures: ReadonlyArray<Figures>) => median(figures.map((one) => one.read)) / mib / 1024 / bench.gib
    bench.say(
      "",
      `Bytes that were read, in sizes of the file: ${all.map((figures) => read(figures).toFixed(2)).join(" and ")}.`
    )

    const stopped: Row = {
      name: "three, of which one takes 1 MiB/s",
      command: [
        "sh",
        "-c",
        `timeout --foreground -s INT ${slowSeconds} ${quoted(upload("glance://fast/disk", "s3://bench/disk", "glance://slow/disk"))}; test $? -eq 124`
      ],
      env
    }
    const [figures] = await runInTurns(bench, [stopped], { rounds: Math.min(3, bench.rounds), warmUp: false })
    const rss = median(figures!.map(({ rssTree }) => rssTree)) / 1024
    bench.say(
      "",
      `A Glance and an S3 that discard, and a Glance that takes 1 MiB/s, stopped after ${slowSeconds} s: ` +
        `the process tree has at most ${rss.toFixed(0)} MiB resident.`
    )
  } finally {
    for (const sink of [...paced, slow, s3]) sink.stop()
  }
}
