/**
 * The yardstick: hash-wasm's sha512 of a file, alone on the calling thread, with one reused buffer of 1 MiB.
 */
import { closeSync, openSync, readSync } from "node:fs"
import { createSHA512 } from "hash-wasm"

const hash = await createSHA512()
const buffer = new Uint8Array(1024 * 1024)
const fd = openSync(process.argv[2] ?? "", "r")
for (let bytes = readSync(fd, buffer); bytes > 0; bytes = readSync(fd, buffer)) hash.update(buffer.subarray(0, bytes))
closeSync(fd)
console.log(hash.digest())
