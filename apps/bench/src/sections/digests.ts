/** Digests while sending, beside the same digests alone. */
import { atOnce, type Bench, cloudAt, compare, headrace, type Row } from "../bench.ts"

const upload = (bench: Bench, name: string, ...options: ReadonlyArray<string>): Row => ({
  name: `headrace upload, ${name}`,
  command: [...headrace, "upload", bench.file, "--to", "glance://envvars/disk", "--progress", "none", ...options],
  env: cloudAt(bench.sink.url)
})

export const digests = async (bench: Bench): Promise<void> => {
  const alone = (algorithm: string) => [process.execPath, bench.program("alone"), bench.file, algorithm]
  await compare(bench, "Digests in WebAssembly while sending to the sink, beside one of them alone", [
    { name: "hash-wasm's sha512 alone", command: alone("sha512") },
    upload(bench, "sha512"),
    {
      name: "hash-wasm's md5 and sha512 at once, a process each, nothing sent",
      command: atOnce(alone("md5"), alone("sha512"))
    },
    upload(bench, "md5 and sha512", "--digest", "md5")
  ])
  await compare(bench, "Native digests while sending to the sink", [
    { name: "sha512sum alone", command: ["sha512sum", bench.file] },
    upload(bench, "sha512, --hasher native", "--hasher", "native")
  ])
}
