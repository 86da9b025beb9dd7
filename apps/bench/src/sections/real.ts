/** To a real Glance: ours verified, the others as people use them. */
import { truncateSync } from "node:fs"
import { copyFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { type Bench, cloudAt, compare, headrace, peer, type Row } from "../bench.ts"

/** The testbed is TypeScript that Node runs as it is; only what is used of it is named here. */
interface Testbed {
  readonly startGlance: (options: { readonly auth: "none" }) => Promise<{
    readonly url: string
    readonly stop: () => Promise<void>
  }>
}

const gib = 1

const deleteAll = async (url: string): Promise<void> => {
  const answer = await fetch(`${url}/v2/images`)
  const { images } = (await answer.json()) as { readonly images: ReadonlyArray<{ readonly id: string }> }
  for (const { id } of images) await fetch(`${url}/v2/images/${id}`, { method: "DELETE" })
}

export const real = async (bench: Bench): Promise<void> => {
  const testbed = (await import(new URL("../../../../testbed/testbed.ts", import.meta.url).href)) as Testbed
  const file = join(bench.folder, "one")
  await copyFile(bench.file, file)
  truncateSync(file, gib * 1024 ** 3)
  const glance = await testbed.startGlance({ auth: "none" })
  const after = () => deleteAll(glance.url)
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
          name: "headrace upload, verified",
          command: [...headrace, "upload", file, "--to", "glance://envvars/disk", "--progress", "none"],
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
