/**
 * Writes a body to a socket: two writes outstanding, each piece given back when the socket has taken it. More writes
 * outstanding, and smaller ones, were measured to be slower.
 *
 * Of a body whose length is announced, the piece that completes it is written only when the stream has ended: so a
 * server never takes the beginning of a longer body for the whole.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Socket } from "node:net"

const outstanding = 2

/** uWSGI refuses HTTP chunks of 1 MiB and more; 256 KiB are safe everywhere. */
const maxChunkBytes = 256 * 1024

const endOfLine = Buffer.from("\r\n")

/** Bytes that are not touched until they are released. */
export interface Piece {
  readonly bytes: Uint8Array
  readonly length: number
  readonly release: () => void
}

export class BodyWriter {
  readonly #socket: Socket
  readonly #length: number | undefined
  readonly #chunked: boolean
  readonly #onSent: (bytes: number) => void
  #pending = 0
  #wake: (() => void) | undefined
  /** Bytes handed to the socket. */
  handed = 0

  /** A body of a known length may be chunked too; without a length it has to be. */
  constructor(
    socket: Socket,
    body: { readonly length: number | undefined; readonly chunked: boolean } | undefined,
    onSent: (bytes: number) => void
  ) {
    this.#socket = socket
    this.#length = body?.length
    this.#chunked = body?.chunked === true
    this.#onSent = onSent
  }

  /** Writes that the socket has not taken yet. */
  get pending(): number {
    return this.#pending
  }

  #write(piece: Piece): void {
    const { bytes } = piece
    this.#pending++
    this.handed += bytes.byteLength
    // The socket calls back exactly once, also for a write that it will never do.
    const taken = () => {
      piece.release()
      this.#pending--
      this.#wake?.()
    }
    if (this.#chunked) this.#writeChunks(bytes, taken)
    else this.#socket.write(bytes, taken)
    this.#onSent(bytes.byteLength)
  }

  #writeChunks(bytes: Uint8Array, taken: () => void): void {
    this.#socket.cork()
    for (let at = 0; at < bytes.byteLength; at += maxChunkBytes) {
      const chunk = bytes.subarray(at, at + maxChunkBytes)
      this.#socket.write(Buffer.from(`${chunk.byteLength.toString(16)}\r\n`, "latin1"))
      this.#socket.write(chunk)
      if (at + maxChunkBytes < bytes.byteLength) this.#socket.write(endOfLine)
      else this.#socket.write(endOfLine, taken)
    }
    this.#socket.uncork()
  }

  /** Waits until fewer than `count` writes are pending. */
  #below(count: number): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#pending < count
        ? Effect.void
        : Effect.callback<void>((resume) => {
            this.#wake = () => {
              if (this.#pending >= count) return
              this.#wake = undefined
              resume(Effect.void)
            }
            return Effect.sync(() => {
              this.#wake = undefined
            })
          })
    )
  }

  /** Sends the stream, to the last byte taken by the socket. Fails with what `wrong` makes when its length is not the announced one. */
  run<E, R, E2>(stream: Stream.Stream<Piece, E, R>, wrong: (message: string) => E2): Effect.Effect<void, E | E2, R> {
    const length = this.#length
    let last: Piece | undefined
    const take = (piece: Piece): Effect.Effect<void, E2> => {
      if (piece.length === 0) {
        piece.release()
        return Effect.void
      }
      const total = this.handed + piece.length
      if (length !== undefined && (last !== undefined || total > length)) {
        piece.release()
        return Effect.fail(wrong(`the body has more than the announced ${length} bytes`))
      }
      if (total === length) {
        last = piece
        return Effect.void
      }
      this.#write(piece)
      return this.#pending < outstanding ? Effect.void : this.#below(outstanding)
    }
    const takeAll = (pieces: ReadonlyArray<Piece>) => {
      // As nearly all come; no others would be left to give back.
      if (pieces.length === 1) return take(pieces[0]!)
      let next = 0
      return Effect.onExit(
        Effect.whileLoop({ while: () => next < pieces.length, body: () => take(pieces[next++]!), step: () => {} }),
        () =>
          Effect.sync(() => {
            while (next < pieces.length) pieces[next++]!.release()
          })
      )
    }
    const finish = Effect.suspend((): Effect.Effect<void, E2> => {
      const total = this.handed + (last?.length ?? 0)
      if (length !== undefined && total < length) {
        return Effect.fail(wrong(`the body ended after ${total} of the announced ${length} bytes`))
      }
      if (last !== undefined) this.#write(last)
      last = undefined
      return this.#below(1)
    })
    return Effect.onExit(Effect.andThen(Stream.runForEachArray(stream, takeAll), finish), () =>
      Effect.sync(() => last?.release())
    )
  }
}
