/** The conformance kit, against the real `@tus/server`. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as TusStore from "@headrace/example-store-tus/TusStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Conformance from "@headrace/testkit/Conformance"
import { FileStore } from "@tus/file-store"
import { Server } from "@tus/server"
import * as Effect from "effect/Effect"
import { afterAll } from "vitest"

const folder = mkdtempSync(join(tmpdir(), "headrace-tus-"))
const tus = new Server({ path: "/files", datastore: new FileStore({ directory: folder }) })
const server = createServer((request, response) => void tus.handle(request, response))
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
afterAll(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

interface Info {
  readonly size?: number
  readonly metadata?: { readonly filename?: string }
}

/** The uploads of that name, with the bytes that they have by now. */
const uploads = (key: string) =>
  readdirSync(folder).flatMap((name) => {
    if (!name.endsWith(".json")) return []
    const { metadata, size } = JSON.parse(readFileSync(join(folder, name), "utf8")) as Info
    return metadata?.filename === key
      ? [{ size, bytes: readFileSync(join(folder, name.slice(0, -".json".length))) }]
      : []
  })

Conformance.suite("TusStore", NodeTransport.layer, {
  capabilities: {
    shape: "parts",
    parts: { minBytes: 1, maxBytes: Number.MAX_SAFE_INTEGER, maxParts: Number.MAX_SAFE_INTEGER, inFlight: 1 },
    reports: [],
    checks: { whole: [], part: [] },
    needsSize: false,
    sharedMemory: true,
    unfinished: { list: false, abort: true, resume: true }
  },
  make: ({ address, key }) =>
    TusStore.upload({ endpoint: `http://me:hunter2@${address!.host}:${address!.port}/files`, filename: key }),
  truth: (key) => Effect.sync(() => uploads(key).find(({ bytes, size }) => bytes.length === size)?.bytes),
  unfinished: (key) => Effect.sync(() => uploads(key).filter(({ bytes, size }) => bytes.length !== size).length),
  service: {
    port: (server.address() as AddressInfo).port,
    isBegin: ({ method }) => method === "POST"
  },
  keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this"],
  secrets: ["hunter2", btoa("me:hunter2")],
  except: {
    "makes nothing twice when the answer to the beginning was lost":
      "the server names uploads, and forgets them itself",
    "fails when what is read back is cut": "a reader that goes is an uncaught exception in this server's process"
  }
})
