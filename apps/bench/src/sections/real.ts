/** To a real Glance: ours verified, the others as people use them. */
import { truncateSync } from "node:fs"
import { copyFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { atOnce, type Bench, cloudAt, compare, headrace, peer, type Row } from "../bench.ts"

/** The testbed is TypeScript that Node runs as it is; only what is used of it is named here. */
interface Testbed {
  readonly startGlance: (options: { readonly auth: "none" }) => Promise<{
    readonly url: string
    readonly stop: () => Promise<void>
  }>
}

/** The service hashes each byte twice itself, so a run takes long enough. */
const gib = 1

/** An image that is there already, as in any cloud: it tells which digest the service keeps. */
const makeOne = async (url: string): Promise<string> => {
  const made = await fetch(`${url}/v2/images`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "there already", disk_format: "raw", container_format: "bare" })
  })
  const { id } = (await made.json()) as { readonly id: string }
  const headers = { "content-type": "application/octet-stream" }
  const sent = await fetch(`${url}/v2/images/${id}/file`, { method: "PUT", headers, body: "x" })
  if (sent.status !== 204) throw new Error(`the service answers ${sent.status}`)
  return id
}

const deleteOthers = async (url: string, kept: string): Promise<void> => {
  const answer = await fetch(`${url}/v2/images`)
  const { images } = (await answer.json()) as { readonly images: ReadonlyArray<{ readonly id: string }> }
  for (const { id } of images) if (id !== kept) await fetch(`${url}/v2/images/${id}`, { method: "DELETE" })
}

export const real = async (bench: Bench): Promise<void> => {
  const testbed = (await import(new URL("../../../../testbed/testbed.ts", import.meta.url).href)) as Testbed
  const file = join(bench.folder, "real")
  await copyFile(bench.file, file)
  truncateSync(file, gib * 1024 ** 3)
  const glance = await testbed.startGlance({ auth: "none" })
  const there = await makeOne(glance.url)
  const after = () => deleteOthers(glance.url, there)
  const upload = [...headrace, "upload", file, "--to", "glance://envvars/disk", "--progress", "none"]
  const sdk = (name: string, ...options: ReadonlyArray<string>): ReadonlyArray<Row> =>
    bench.python === undefined
      ? []
      : [{ name, command: [bench.python, peer("upload.py"), glance.url, "1", file, ...options], after }]
  try {
    await compare(
      bench,
      `To a real Glance 33 under uWSGI, ${gib} GiB`,
      [
        {
          name: "curl, creates and sends, verifies nothing",
          command: [peer("curl-upload.sh"), glance.url, file],
          after
        },
        {
          name: "curl, and hash-wasm's sha512 at once, a process each",
          command: atOnce(
            [peer("curl-upload.sh"), glance.url, file],
            [process.execPath, bench.program("alone"), file, "sha512"]
          ),
          after
        },
        {
          name: "headrace upload, verified",
          command: upload,
          env: cloudAt(glance.url),
          after
        },
        {
          name: "headrace upload, verified, --hasher native",
          command: [...upload, "--hasher", "native"],
          env: cloudAt(glance.url),
          after
        },
        ...sdk("openstacksdk, verifies nothing"),
        ...sdk("openstacksdk, validate_checksum", "validate")
      ],
      gib
    )
  } finally {
    await glance.stop()
    await rm(file)
  }
}
