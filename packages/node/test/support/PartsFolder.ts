/** A store of objects in parts, in a folder: what is in it outlives the process that wrote it. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash, randomUUID } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Blocks from "@headrace/core/Blocks"
import type { Inspection, PartsSession, Store } from "@headrace/core/Store"

export interface Options {
  readonly folder: string
  readonly partBytes: number
  /** Told when a part has been taken. */
  readonly onPart?: (number: number, bytes: number) => Effect.Effect<unknown>
}

export const objectPath = (folder: string) => join(folder, "object")

export const unfinished = (folder: string): ReadonlyArray<string> =>
  existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("upload-")) : []

export const make = ({ folder, onPart, partBytes }: Options): Store => {
  const uri = `folder:${folder}`
  let upload: string | undefined
  let finished = false
  const path = (name: string | number) => join(folder, upload!, String(name).padStart(6, "0"))
  const discard = Effect.sync(() => {
    if (upload !== undefined) rmSync(join(folder, upload), { recursive: true, force: true })
    return "none"
  })
  const session: PartsSession = {
    shape: "parts",
    wanted: ["sha256"],
    limits: { minBytes: 1, maxBytes: 2 ** 30, maxParts: 10_000, preferredBytes: partBytes },
    partDigests: [],
    begin: Effect.sync(() => {
      upload = `upload-${randomUUID()}`
      mkdirSync(join(folder, upload), { recursive: true })
    }),
    inspect: Effect.sync((): Inspection => {
      if (!finished) return { _tag: "Ready" }
      const bytes = readFileSync(objectPath(folder))
      const digests = { sha256: createHash("sha256").update(bytes).digest("hex") }
      return { _tag: "Stored", object: { id: folder, size: bytes.byteLength, digests } }
    }),
    checkPlace: () => Effect.void,
    recreate: Effect.die(new Error("not here")),
    owned: Effect.succeed(true),
    location: Effect.succeed(uri),
    discard,
    left: Effect.sync(() => (upload === undefined ? "none" : `upload ${upload} of ${uri}`)),
    seal: Effect.void,
    read: Stream.empty,
    notes: Effect.succeed([]),
    writePart: (part) =>
      Effect.gen(function* () {
        const pieces: Array<Uint8Array> = []
        yield* Stream.runForEach(Blocks.toBytes(part.stream), (bytes) =>
          Effect.sync(() => {
            pieces.push(bytes)
            part.onSent(bytes.byteLength)
          })
        )
        writeFileSync(`${path(part.number)}.new`, Buffer.concat(pieces))
        renameSync(`${path(part.number)}.new`, path(part.number))
        if (onPart !== undefined) yield* onPart(part.number, part.length)
        return String(part.length)
      }),
    finish: ({ parts }) =>
      Effect.sync(() => {
        writeFileSync(`${objectPath(folder)}.new`, Buffer.concat(parts.map(({ number }) => readFileSync(path(number)))))
        renameSync(`${objectPath(folder)}.new`, objectPath(folder))
        finished = true
        rmSync(join(folder, upload!), { recursive: true, force: true })
      }),
    resumption: {
      token: Effect.sync(() => upload!),
      resume: (token, _noted, cut) =>
        Effect.sync(() => {
          if (!existsSync(join(folder, token))) return undefined
          upload = token
          return readdirSync(join(folder, token))
            .filter((name) => !name.endsWith(".new"))
            .map((name) => {
              const length = statSync(join(folder, token, name)).size
              const number = Number(name)
              return { number, offset: (number - 1) * cut.partBytes, length, tag: String(length), digests: {} }
            })
        })
    }
  }
  return {
    uri,
    capabilities: Effect.die(new Error("not here")),
    plan: () => Effect.succeed({ action: "create", why: "a test" }),
    open: () => Effect.succeed(session)
  }
}
