/** Objects to an S3 that discards them in the kernel: one that is large, and many that are small. */
import { execFileSync } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Bench, compare, peer, type Row } from "../bench.ts"
import { compile } from "../measure.ts"
import * as Peers from "../s3peers.ts"
import * as Sink from "../sink.ts"

const keys = { AWS_ACCESS_KEY_ID: "k", AWS_SECRET_ACCESS_KEY: "s", AWS_REGION: "us-east-1" }

const rowsOf = (bench: Bench, url: string, { modules, s5cmd }: Peers.Peers): ReadonlyArray<Row> => {
  const node = (name: string, program: string) =>
    modules === undefined
      ? []
      : [{ name, command: [process.execPath, peer(program), modules, url, "bench", "peer", bench.file] }]
  return [
    ...node("opendal (native), 8 MiB × 4, no checksum", "opendal.mjs"),
    {
      name: "headrace, CRC64NVME of each part and of the whole, verified",
      command: [process.execPath, bench.s3, url, bench.file]
    },
    ...(s5cmd === undefined
      ? []
      : [{ name: "s5cmd", command: [s5cmd, "--endpoint-url", url, "cp", bench.file, "s3://bench/s5cmd"], env: keys }]),
    ...node("@aws-sdk/lib-storage", "lib-storage.mjs")
  ]
}

const many = 1000

const smallRowsOf = (bench: Bench, url: string, file: string, { modules, s5cmd }: Peers.Peers): ReadonlyArray<Row> => [
  ...(modules === undefined
    ? []
    : [
        {
          name: "opendal (native), 8 at once, no checksum",
          command: [process.execPath, peer("opendal.mjs"), modules, url, "bench", "small", file, String(many)]
        }
      ]),
  {
    name: "headrace, 8 at once, CRC64NVME, verified",
    command: [process.execPath, bench.s3, url, file, String(many)]
  },
  ...(s5cmd === undefined
    ? []
    : [
        {
          name: "s5cmd",
          command: [s5cmd, "--endpoint-url", url, "cp", join(bench.folder, "many", "*"), "s3://bench/many/"],
          env: keys
        }
      ])
]

export const s3 = async (bench: Bench): Promise<void> => {
  const peers = Peers.bring(join(tmpdir(), "headrace-bench-peers"))
  const sink = await Sink.start(compile(bench.folder, "s3sink"))
  try {
    await compare(bench, "One object to an S3 that discards in the kernel", rowsOf(bench, sink.url, peers))
    const file = join(bench.folder, "small")
    execFileSync("sh", [
      "-c",
      `mkdir "$2/many" && head -c 1048576 "$1" > "$2/small" && for i in $(seq ${many}); do ln "$2/small" "$2/many/$i"; done`,
      "sh",
      bench.file,
      bench.folder
    ])
    await compare(bench, `${many} objects of 1 MiB to the same`, smallRowsOf(bench, sink.url, file, peers), many / 1024)
  } finally {
    sink.stop()
  }
}
