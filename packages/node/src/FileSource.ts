/**
 * A file as a source: read straight into the pool's blocks, no bytes are copied. Regular files and block devices can
 * be read again, from any offset; a pipe with a name or a character device cannot, and has no size.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type BigIntStats, close, constants, createReadStream, open, statSync } from "node:fs"
import { type FileHandle, open as openHandle, stat } from "node:fs/promises"
import { resolve } from "node:path"
import type { Block } from "@headrace/core/Block"
import type { BlockShare } from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import type { Hints, Info, Source } from "@headrace/core/Source"
import type { SourceError } from "@headrace/core/SourceError"
import { readBlocks, unreadable } from "./internal/descriptor.ts"
import { fromReadable } from "./internal/readable.ts"

const isOnceOnly = (stats: BigIntStats) => stats.isFIFO() || stats.isSocket() || stats.isCharacterDevice()

/** The stat of a block device has no size: its end is where reading stops giving bytes. */
const deviceSize = async (path: string): Promise<number> => {
  const handle = await openHandle(path, "r")
  try {
    return await endOf(handle)
  } finally {
    await handle.close()
  }
}

const endOf = async (handle: FileHandle): Promise<number> => {
  const probe = new Uint8Array(1)
  const has = async (at: number) => (await handle.read(probe, 0, 1, at)).bytesRead === 1
  if (!(await has(0))) return 0
  let high = 1
  while (await has(high)) high *= 2
  let low = Math.floor(high / 2)
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (await has(middle)) low = middle
    else high = middle
  }
  return high
}

const hasBytes = async (path: string): Promise<boolean> => {
  const handle = await openHandle(path, "r")
  try {
    return (await handle.read(new Uint8Array(1), 0, 1, 0)).bytesRead === 1
  } finally {
    await handle.close()
  }
}

const info = (name: string, path: string, onStats: (stats: BigIntStats) => void): Effect.Effect<Info, SourceError> =>
  Effect.tryPromise({
    try: async () => {
      const stats = await stat(path, { bigint: true })
      onStats(stats)
      if (stats.isDirectory()) throw Object.assign(new Error("a folder"), { code: "EISDIR" })
      if (isOnceOnly(stats)) return { size: undefined, identity: undefined }
      if (stats.isBlockDevice()) {
        const size = await deviceSize(path)
        return { size, identity: `device ${stats.rdev} ${size}` }
      }
      // Files that the kernel makes up as they are read (/proc) say 0 bytes, whatever is in them.
      if (stats.size === 0n && (await hasBytes(path))) return { size: undefined, identity: undefined }
      return {
        size: Number(stats.size),
        identity: `file ${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs}`
      }
    },
    catch: (cause) => unreadable(name, cause)
  })

/** As `st_blocks` counts, whatever the file system's own blocks are (stat(2)). */
const sectorBytes = 512n

/** What a file system keeps for itself of a file without holes is less than this. */
const leastHole = 65_536n

const hintsOf = (stats: BigIntStats): Hints =>
  stats.isFile() ? { sparse: stats.size - stats.blocks * sectorBytes >= leastHole } : {}

const hints = (name: string, path: string): Effect.Effect<Hints, SourceError> =>
  Effect.tryPromise({
    try: async () => hintsOf(await stat(path, { bigint: true })),
    catch: (cause) => unreadable(name, cause)
  })

const openFile = (name: string, path: string, flags: number): Effect.Effect<number, SourceError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number, SourceError>((resume) => {
      open(path, flags, (error, fd) =>
        resume(error === null ? Effect.succeed(fd) : Effect.fail(unreadable(name, error)))
      )
    }),
    (fd) => Effect.callback<void>((resume) => close(fd, () => resume(Effect.void)))
  )

const readFile = (
  name: string,
  path: string,
  offset: number,
  size: number | undefined
): Stream.Stream<Block, SourceError, BlockShare> =>
  Stream.scoped(
    Stream.unwrap(Effect.map(openFile(name, path, constants.O_RDONLY), (fd) => readBlocks(name, fd, offset, size)))
  )

/**
 * A pipe is read as a socket is, without blocking: a thread that waits in a read for somebody to write cannot be called
 * back, and would hold up the end of the process.
 */
const readPipe = (name: string, path: string): Stream.Stream<Uint8Array, SourceError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { Socket } = yield* Effect.promise(() => import("node:net"))
      const fd = yield* Effect.callback<number, SourceError>((resume) => {
        open(path, constants.O_RDONLY | constants.O_NONBLOCK, (error, fd) =>
          resume(error === null ? Effect.succeed(fd) : Effect.fail(unreadable(name, error)))
        )
      })
      return fromReadable(
        () => new Socket({ fd, readable: true, writable: false }),
        (cause) => unreadable(name, cause, 0)
      )
    })
  )

/** What is there; nothing when it cannot be looked at, which `info` tells. */
const lookAt = (path: string): BigIntStats | undefined => {
  try {
    return statSync(path, { bigint: true })
  } catch {
    return undefined
  }
}

/**
 * A file by its path, which is taken as it is; a relative one from the current folder. Nothing is opened before the
 * source is used: a missing file is a `SourceUnreadable` then.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (path: string): Source => {
  const absolute = resolve(path)
  const stats = lookAt(absolute)
  const onceOnly = stats !== undefined && isOnceOnly(stats)
  /** As `info` has found it: a file that was changed since is refused at the end. */
  let last: BigIntStats | undefined
  return {
    uri: path,
    replayable: !onceOnly,
    info: info(path, absolute, (stats) => {
      last = stats
    }),
    hints: Effect.suspend(() => (last === undefined ? hints(path, absolute) : Effect.succeed(hintsOf(last)))),
    open: (offset) => {
      if (!onceOnly) return readFile(path, absolute, offset, last?.isFile() === true ? Number(last.size) : undefined)
      if (stats.isFIFO()) return Blocks.fromBytes(readPipe(path, absolute))
      return Blocks.fromBytes(
        fromReadable(
          () => createReadStream(absolute),
          (cause) => unreadable(path, cause, 0)
        )
      )
    }
  }
}
