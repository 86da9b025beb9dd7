/** What does not depend on bytes: many small images, and the start of the command. */
import { truncateSync, writeFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { type Bench, headrace, peer, ratio, type Row, runInTurns } from "../bench.ts"
import { median } from "../measure.ts"

const count = 1000
const bytes = 64 * 1024

export const small = async (bench: Bench): Promise<void> => {
  const file = join(bench.folder, "small")
  writeFileSync(file, "")
  truncateSync(file, bytes)
  const requests = new Map<string, number>()
  const counted = (name: string, command: ReadonlyArray<string>): Row => ({
    name,
    command,
    after: async () => requests.set(name, (await bench.sink.seen()).requests)
  })
  const { url } = bench.sink
  const rows = [
    ...(bench.python === undefined
      ? []
      : [counted("openstacksdk, one process", [bench.python, peer("upload.py"), url, `${count}`, file])]),
    counted("headrace, `upload()`, one process", [process.execPath, bench.program("many"), file, `${count}`, url])
  ]
  await bench.sink.seen()
  const all = await runInTurns(bench, rows)
  bench.say(
    "",
    `### ${count} images of ${bytes / 1024} KiB one after the other, to the sink`,
    "",
    "| client | wall s | CPU s | RSS MiB | requests an image | speed |",
    "|---|---|---|---|---|---|"
  )
  for (const [index, { name }] of rows.entries()) {
    const figures = all[index]!
    const wall = median(figures.map((one) => one.wall)).toFixed(2)
    const cpu = median(figures.map((one) => one.user + one.sys)).toFixed(2)
    const rss = (median(figures.map((one) => one.rssTree)) / 1024).toFixed(0)
    const speed = (1 / ratio(figures, all[0]!, (one) => one.wall)).toFixed(2)
    bench.say(`| ${name} | ${wall} | ${cpu} | ${rss} | ${(requests.get(name)! / count).toFixed(3)} | ${speed} × |`)
  }
  await rm(file)
}

export const start = async (bench: Bench): Promise<void> => {
  const rows = [{ name: "help", command: [...headrace, "--help"] }]
  const [figures] = await runInTurns(bench, rows)
  bench.say("", `\`headrace --help\`: ${median(figures!.map((one) => one.wall)).toFixed(2)} s.`)
}
