/** Shaped uploads as the wire sees them. */
import { truncateSync, writeFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { type Bench, cloudAt, headrace } from "../bench.ts"
import { measure } from "../measure.ts"

const seconds = 10

export const limits = async (bench: Bench): Promise<void> => {
  bench.say(
    "",
    `### \`--limit\`, ${seconds} s of body each, as the sink sees it`,
    "",
    "| asked MiB/s | seen MiB/s | off by | longest time between two bytes, ms |",
    "|---|---|---|---|"
  )
  const file = join(bench.folder, "limited")
  for (const rate of [1, 5, 20, 100, 250, 500]) {
    writeFileSync(file, "")
    truncateSync(file, rate * seconds * 1024 ** 2)
    await bench.sink.seen()
    await measure(
      bench.measure,
      // node:crypto keeps up with all of these rates.
      [...headrace, "upload", file, "--to", "glance://envvars/disk", "--progress", "none", "--hasher", "native"].concat(
        "--limit",
        `${rate}MiB/s`
      ),
      cloudAt(bench.sink.url)
    )
    const seen = await bench.sink.seen()
    const got = seen.bytes / 1024 ** 2 / seen.seconds
    const off = `${(100 * (got / rate - 1)).toFixed(1)} %`
    bench.say(`| ${rate} | ${got.toFixed(2)} | ${off} | ${(seen.gap * 1000).toFixed(0)} |`)
  }
  await rm(file)
}
