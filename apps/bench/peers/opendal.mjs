// A file to S3 by opendal's native client: node opendal.mjs MODULES ENDPOINT BUCKET KEY FILE
// 8 MiB parts, four at once; it sends no checksum. For small files by the thousand: ... BUCKET PREFIX FILE COUNT
import { createRequire } from "node:module"
import { openSync, readFileSync, readSync, statSync } from "node:fs"

const [modules, endpoint, bucket, key, file, count] = process.argv.slice(2)
const { Operator } = createRequire(`${modules}/`)("opendal")
const op = new Operator("s3", { endpoint, bucket, region: "us-east-1", access_key_id: "k", secret_access_key: "s" })
if (count === undefined) {
  const part = 8 * 1024 * 1024
  const writer = await op.writer(key, { chunk: BigInt(part), concurrent: 4 })
  const fd = openSync(file, "r")
  for (let at = 0, size = statSync(file).size; at < size; at += part) {
    const piece = Buffer.allocUnsafe(Math.min(part, size - at))
    readSync(fd, piece, 0, piece.length, at)
    await writer.write(piece)
  }
  await writer.close()
} else {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < Number(count); index = next++)
      await op.write(`${key}/${index}`, readFileSync(file))
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}
