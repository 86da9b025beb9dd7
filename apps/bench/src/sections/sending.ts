/** Bytes to a sink that discards them in the kernel, without digests; in the clear and over TLS. */
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { type Bench, compare, imageUrl, peer, type Row } from "../bench.ts"
import { compile } from "../measure.ts"
import * as Sink from "../sink.ts"

export const sending = async (bench: Bench): Promise<void> => {
  const url = imageUrl(bench.sink.url)
  const sdk: ReadonlyArray<Row> =
    bench.python === undefined
      ? []
      : [
          {
            name: "openstacksdk, no checksum",
            command: [bench.python, peer("upload.py"), bench.sink.url, "1", bench.file]
          }
        ]
  await compare(bench, "No digests, to a sink that discards in the kernel", [
    { name: "curl -T", command: ["curl", "-sf", "-o", "/dev/null", "-H", "Expect:", "-T", bench.file, url] },
    { name: "headrace, its stages", command: [process.execPath, bench.pipeline, bench.file, url] },
    ...sdk
  ])
}

/** A certificate for 127.0.0.1 and its key, in one file. */
const certificate = (folder: string): string => {
  const pem = join(folder, "sink.pem")
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"].concat(
      ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
      ["-keyout", pem, "-out", `${pem}.crt`]
    ),
    { stdio: "pipe" }
  )
  execFileSync("sh", ["-c", 'cat "$1.crt" >> "$1"', "sh", pem])
  return pem
}

export const tls = async (bench: Bench): Promise<void> => {
  const pem = certificate(bench.folder)
  const sink = await Sink.start(compile(bench.folder, "sink", "sink-tls", "-DTLS", "-lssl", "-lcrypto"), pem)
  try {
    const url = imageUrl(sink.url)
    const authorities = `${pem}.crt`
    const curl = ["curl", "-sf", "-o", "/dev/null", "--cacert", authorities, "-H", "Expect:", "-T", bench.file, url]
    await compare(bench, "No digests, over TLS 1.3", [
      { name: "curl -T", command: curl },
      {
        name: "headrace, its stages",
        command: [process.execPath, bench.pipeline, bench.file, url, authorities]
      }
    ])
  } finally {
    sink.stop()
  }
}
