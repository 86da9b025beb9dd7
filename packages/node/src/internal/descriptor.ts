/**
 * Reads an open file straight into blocks of the pool, without another copy.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { read } from "node:fs"
import type { Block } from "@headrace/core/Block"
import type { BlockShare } from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as SourceError from "@headrace/core/SourceError"
import { describeFault } from "./fault.ts"

/** `name` is the path as users typed it. */
export const unreadable = (name: string, cause: unknown, offset?: number): SourceError.SourceError =>
  SourceError.make("SourceUnreadable", {
    uri: name,
    message: `cannot read ${name === "-" ? "standard input" : `'${name}'`}: ${describeFault(cause)}`,
    // What could be read a moment ago may come back: a device, a network file system.
    retryable: offset !== undefined,
    ...(offset === undefined ? undefined : { offset }),
    cause
  })

/** One read. It cannot be interrupted half-way: the block must not go back while the kernel writes into it. */
const readInto = (
  name: string,
  fd: number,
  block: Block,
  position: number | null,
  offset: number
): Effect.Effect<number, SourceError.SourceError> =>
  Effect.uninterruptible(
    Effect.callback((resume) => {
      const { space } = block
      read(fd, space, 0, space.byteLength, position, (error, bytes) =>
        resume(error === null ? Effect.succeed(bytes) : Effect.fail(unreadable(name, error, offset)))
      )
    })
  )

/**
 * The file from `offset` on, or from where it stands when that is `undefined`. The next block is read while the one
 * before is on its way, or the socket would wait for the disk and the disk for the socket.
 */
export const readBlocks = (
  name: string,
  fd: number,
  offset: number | undefined
): Stream.Stream<Block, SourceError.SourceError, BlockShare> =>
  Stream.suspend(() => {
    let at = offset ?? 0
    return Stream.fromPull(
      Effect.succeed(
        Effect.flatMap(
          Blocks.lease((block) =>
            Effect.map(readInto(name, fd, block, offset === undefined ? null : at, at), (bytes) => {
              at += bytes
              block.setLength(bytes)
            })
          ),
          (block) => {
            if (block.length > 0) return Effect.succeed(Arr.of(block))
            block.release()
            return Cause.done()
          }
        )
      )
    ).pipe(Stream.bufferArray({ capacity: 1 }))
  })
