/**
 * Folders and small file systems of their own, and uploads into them.
 */
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as Source from "@headrace/core/Source"
import type { Body, Content, Store } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import * as FileStore from "@headrace/fs/FileStore"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const MiB = 1024 * 1024

/** Bytes in which none is where another one should be, and none is zero for long. */
export const pattern = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8)
  return bytes
}

const run = (command: string, ...args: ReadonlyArray<string>) =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim()

const folder = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "file-store-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

export const inFolder = <A, E, R>(body: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(folder, body))

const works = (...tries: ReadonlyArray<() => unknown>): boolean => {
  try {
    for (const attempt of tries) attempt()
    return true
  } catch {
    return false
  }
}

/** Whether file systems can be mounted here: by root, outside of most containers. What needs it is `[optional]`. */
export const mounts = ((): boolean => {
  const at = mkdtempSync(join(tmpdir(), "file-store-probe-"))
  try {
    return works(
      () => run("mount", "-t", "tmpfs", "-o", "size=1m", "none", at),
      () => run("umount", at)
    )
  } finally {
    rmSync(at, { recursive: true })
  }
})()

/** Whether disks can be made of files, with a file system that can be frozen. */
export const disks =
  mounts &&
  works(
    () => run("losetup", "--find"),
    () => run("mkfs.ext4", "-V"),
    () => run("fsfreeze", "--version")
  )

/** A program of this folder as nobody, who owns nothing here. */
export const asNobody = (program: string, ...args: ReadonlyArray<string>) =>
  run(
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    process.execPath,
    fileURLToPath(new URL(program, import.meta.url)),
    ...args
  )

/** Whether there can be such programs: root starts them, and they must get at this checkout. */
export const others = process.getuid?.() === 0 && works(() => asNobody("small.ts", "/dev/null"))

const mounted = (at: string, args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => run("mount", ...args, at)),
    () => Effect.sync(() => run("umount", at))
  )

/** A file system in memory that has room for `bytes`. */
export const inTmpfs = <A, E, R>(bytes: number, body: (folder: string) => Effect.Effect<A, E, R>) =>
  inFolder((at) =>
    Effect.scoped(
      Effect.andThen(
        mounted(at, ["-t", "tmpfs", "-o", `size=${bytes}`, "none"]),
        Effect.suspend(() => body(at))
      )
    )
  )

/** What is on the disk that the image is of. */
const onImage = <A, E, R>(
  image: string,
  options: ReadonlyArray<string>,
  body: (folder: string) => Effect.Effect<A, E, R>
) =>
  inFolder((at) =>
    Effect.scoped(
      Effect.gen(function* () {
        const device = yield* Effect.acquireRelease(
          Effect.sync(() => run("losetup", "--find", "--show", image)),
          (device) => Effect.sync(() => run("losetup", "--detach", device))
        )
        yield* mounted(at, [...options, device])
        return yield* body(at)
      })
    )
  )

/**
 * An ext4 of 64 MiB on a disk that takes only `bytes`: what is over fails when it is written to the disk. The image is
 * what the disk has, whatever the system holds in memory.
 */
export const onDisk = <A, E, R>(bytes: number, body: (folder: string, image: string) => Effect.Effect<A, E, R>) =>
  inTmpfs(bytes, (memory) =>
    Effect.suspend(() => {
      const image = join(memory, "disk")
      run("truncate", "-s", "64M", image)
      run("mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard", image)
      return onImage(image, [], (folder) => body(folder, image))
    })
  )

/** The power goes: what the disk has at this moment, to be looked at only. */
export const afterPowerCut = <A, E, R>(image: string, body: (folder: string) => Effect.Effect<A, E, R>) =>
  inFolder((copies) =>
    Effect.suspend(() => {
      const copy = join(copies, "disk")
      run("cp", "--sparse=always", image, copy)
      return onImage(copy, ["-o", "ro"], body)
    })
  )

/** Until it is thawed, the kernel finishes nothing that writes to it. */
export const freeze = (at: string) => Effect.sync(() => run("fsfreeze", "--freeze", at))
export const thaw = (at: string) => Effect.sync(() => run("fsfreeze", "--unfreeze", at))

/** A test that fails while it is frozen must not wait for what cannot end. */
export const thawAtEnd = (at: string) =>
  Effect.addFinalizer(() => Effect.sync(() => works(() => run("fsfreeze", "--unfreeze", at))))

/** Programs are looked for in that folder only. */
export const withPrograms = <A, E, R>(folder: string, body: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const { PATH } = process.env
      process.env["PATH"] = folder
      return PATH
    }),
    () => body,
    (before) =>
      Effect.sync(() => {
        process.env["PATH"] = before
      })
  )

/** A file system in memory that tells nobody how large it is, and sets nothing aside. */
export const inRamfs = <A, E, R>(body: (folder: string) => Effect.Effect<A, E, R>) =>
  inFolder((at) =>
    Effect.scoped(
      Effect.andThen(
        mounted(at, ["-t", "ramfs", "none"]),
        Effect.suspend(() => body(at))
      )
    )
  )

export const remount = (at: string, how: "ro" | "rw") => run("mount", "-o", `remount,${how}`, at)

export const bind = (from: string, to: string) =>
  Effect.acquireRelease(
    Effect.sync(() => run("mount", "--bind", from, to)),
    () => Effect.sync(() => run("umount", to))
  )

/** Names in a folder, but for what file systems make for themselves. */
export const names = (at: string) =>
  readdirSync(at)
    .filter((name) => name !== "lost+found")
    .sort()

export type More = Partial<Omit<Transfer.Options<never, never>, "source" | "to">>

/** An upload with everything that Node has. */
export const upload = (source: Source.Source, store: string | Store, more: More = {}) =>
  Transfer.run<never, never>({
    source,
    to: [typeof store === "string" ? FileStore.file(store) : store],
    retries: 1,
    ...more
  }).pipe(Effect.provide(NodeHeadrace.layer))

/** A source whose bytes come as the stream brings them. */
export const streaming = (stream: Stream.Stream<Uint8Array>, size?: number): Source.Source =>
  Source.fromStream({
    uri: "test:",
    replayable: true,
    info: Effect.succeed({ size, identity: undefined }),
    open: (offset) => (offset === 0 ? stream : Stream.die(new Error("only from the start")))
  })

const unknown: Content = { size: undefined, head: new Uint8Array(0) }

/** A session, and a way to write bytes into it whose blocks are counted. */
export const session = (path: string, content: Partial<Content> = {}) =>
  Effect.gen(function* () {
    const store = FileStore.file(path)
    const open = yield* store.open({ ...unknown, ...content })
    if (open.shape !== "whole") return yield* Effect.die(new Error("so large a body is written as parts"))
    const pool = BlockPool.makeUnsafe({ bytes: 16 * MiB })
    const share = yield* pool.share(4)
    let sent = 0
    const write = (stream: Stream.Stream<Uint8Array>, more: Partial<Omit<Body<never, never>, "stream">> = {}) =>
      open.write<never, never>({
        stream: Stream.provideService(Blocks.fromBytes(stream), BlockPool.BlockShare, share),
        length: undefined,
        stallMs: 60_000,
        answerMs: 60_000,
        onSent: (bytes) => {
          sent += bytes
        },
        ...more
      })
    return { ...open, write, sent: () => sent, inUse: () => pool.stats().inUse }
  })
