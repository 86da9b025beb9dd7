/**
 * A file as a source: read straight into the pool's blocks, no bytes are copied. Regular files and block devices can
 * be read again; a pipe with a name cannot, and has no size.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type BigIntStats, close, constants, createReadStream, open, read, statSync } from "node:fs"
import { type FileHandle, open as openHandle, stat } from "node:fs/promises"
import { resolve } from "node:path"
import type { Block } from "@headrace/core/Block"
import { BlockShare } from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import type { Info, Source } from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import { describeFault } from "./internal/fault.ts"
import { fromReadable } from "./internal/readable.ts"

const unreadable = (path: string, cause: unknown, offset?: number) =>
  SourceError.make("SourceUnreadable", {
    uri: path,
    message: `cannot read '${path}': ${describeFault(cause)}`,
    // A device or a network file system may come back.
    retryable: offset !== undefined,
    ...(offset === undefined ? undefined : { offset }),
    cause
  })

const isPipe = (stats: BigIntStats) => stats.isFIFO() || stats.isSocket() || stats.isCharacterDevice()

/** A block device's stat has no size: its end is where reading stops giving bytes. */
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
  let high = 1
  while (await has(high)) high *= 2
  let low = Math.floor(high / 2)
  if (low === 0) return (await has(0)) ? 1 : 0
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (await has(middle)) low = middle
    else high = middle
  }
  return low + 1
}

const info = (name: string, path: string): Effect.Effect<Info, SourceError.SourceError> =>
  Effect.tryPromise({
    try: async () => {
      const stats = await stat(path, { bigint: true })
      if (stats.isDirectory()) throw Object.assign(new Error("it is a folder"), { code: "EISDIR" })
      if (isPipe(stats)) return { size: undefined, identity: undefined }
      const size = stats.isBlockDevice() ? await deviceSize(path) : Number(stats.size)
      const identity = stats.isBlockDevice()
        ? `${stats.rdev}:${size}`
        : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}`
      return { size, identity }
    },
    catch: (cause) => unreadable(name, cause)
  })

const openFile = (name: string, path: string) =>
  Effect.acquireRelease(
    Effect.callback<number, SourceError.SourceError>((resume) => {
      open(path, constants.O_RDONLY, (error, fd) =>
        resume(error === null ? Effect.succeed(fd) : Effect.fail(unreadable(name, error)))
      )
    }),
    (fd) => Effect.callback<void>((resume) => close(fd, () => resume(Effect.void)))
  )

/** One read. It is not interrupted half-way: the block must not be given back while the kernel writes into it. */
const readInto = (name: string, fd: number, block: Block, at: number): Effect.Effect<number, SourceError.SourceError> =>
  Effect.uninterruptible(
    Effect.callback<number, SourceError.SourceError>((resume) => {
      const space = block.space
      read(fd, space, 0, space.byteLength, at, (error, bytes) =>
        resume(error === null ? Effect.succeed(bytes) : Effect.fail(unreadable(name, error, at)))
      )
    })
  )

const blocks = (
  name: string,
  path: string,
  offset: number
): Stream.Stream<Block, SourceError.SourceError, BlockShare> =>
  Stream.scoped(
    Stream.unwrap(
      Effect.gen(function* () {
        const share = yield* BlockShare
        const fd = yield* openFile(name, path)
        let at = offset
        const next = Effect.gen(function* () {
          const block = yield* share.take
          const bytes = yield* Effect.onError(readInto(name, fd, block, at), () => Effect.sync(() => block.release()))
          if (bytes === 0) {
            block.release()
            return yield* Cause.done()
          }
          at += bytes
          return [block.setLength(bytes)] as Arr.NonEmptyReadonlyArray<Block>
        })
        return Stream.fromPull(Effect.succeed(next))
      })
    )
  )

/**
 * A file by its path, which is taken as it is; a relative one from the current folder. Nothing is opened before the
 * source is used: a missing file is a `SourceUnreadable` then.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (path: string): Source => {
  const absolute = resolve(path)
  const stats = statSync(absolute, { bigint: true, throwIfNoEntry: false })
  const seekable = stats === undefined || !isPipe(stats)
  return {
    uri: path,
    replayable: seekable,
    info: info(path, absolute),
    // A read of a pipe can wait for ever and cannot be taken back, so it must not read into the pool's memory.
    open: (offset) =>
      seekable
        ? blocks(path, absolute, offset)
        : Blocks.fromBytes(
            fromReadable(
              () => createReadStream(absolute),
              (cause) => unreadable(path, cause, 0)
            )
          )
  }
}
