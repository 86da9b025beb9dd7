/**
 * The yardstick: hash-wasm's digest of a file, alone on the calling thread, with one reused buffer of 1 MiB.
 *
 *   node alone.js FILE [md5|sha512]
 */
import { closeSync, openSync, readSync } from "node:fs"
import { createMD5, createSHA512 } from "hash-wasm"

const [file = "", algorithm = "sha512"] = process.argv.slice(2)

const hash = await (algorithm === "md5" ? createMD5() : createSHA512())
const buffer = new Uint8Array(1024 * 1024)
const fd = openSync(file, "r")
for (let bytes = readSync(fd, buffer); bytes > 0; bytes = readSync(fd, buffer)) hash.update(buffer.subarray(0, bytes))
closeSync(fd)
console.log(hash.digest())
