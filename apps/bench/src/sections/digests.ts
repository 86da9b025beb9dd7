/** Digests while sending, beside the same digests alone. */
import { type Bench, cloudAt, compare, headrace, type Row } from "../bench.ts"

const upload = (bench: Bench, name: string, ...options: ReadonlyArray<string>): Row => ({
  name: `headrace upload, ${name}`,
  command: [...headrace, "upload", bench.file, "--to", "glance://envvars/disk", "--progress", "none", ...options],
  env: cloudAt(bench.sink.url)
})

export const digests = async (bench: Bench): Promise<void> => {
  await compare(bench, "Digests in WebAssembly while sending to the sink, beside one of them alone", [
    { name: "hash-wasm's sha512 alone", command: [process.execPath, bench.program("alone"), bench.file] },
    upload(bench, "sha512"),
    upload(bench, "md5 and sha512", "--digest", "md5")
  ])
  await compare(bench, "Native digests while sending to the sink", [
    { name: "sha512sum alone", command: ["sha512sum", bench.file] },
    upload(bench, "sha512, --hasher native", "--hasher", "native")
  ])
}
