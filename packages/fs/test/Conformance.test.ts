/** The conformance kit, against a folder of the file system. */
import { existsSync, readdirSync } from "node:fs"
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FileStore from "@headrace/fs/FileStore"
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { afterAll } from "vitest"

const folder = await mkdtemp(join(tmpdir(), "headrace-conformance-"))
afterAll(() => rm(folder, { recursive: true, force: true }))

const partBytes = 64 * 1024

const path = (key: string) => join(folder, key)

Conformance.suite("FileStore", Layer.empty, {
  capabilities: {
    shape: "parts",
    unfinished: { list: true, abort: true, resume: true },
    reports: [],
    rangedRead: true,
    needsSize: false,
    sharedMemory: true
  },
  partBytes,
  make: ({ key }) => FileStore.file(path(key), { partBytes }),
  truth: (key) => Effect.promise(async () => (existsSync(path(key)) ? readFile(path(key)) : undefined)),
  // As programs replace files: by another one, that takes the name.
  put: (key, bytes) =>
    Effect.promise(async () => {
      await writeFile(`${path(key)}.new`, bytes)
      await rename(`${path(key)}.new`, path(key))
    }),
  unfinished: (key) =>
    Effect.sync(() => readdirSync(folder).filter((name) => name !== key && name.includes(key)).length),
  keys: ["ünïcode 日本", "per%20cent", "what?is#this", " blank at both ends "]
})
