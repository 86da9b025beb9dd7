/**
 * Where the bytes of an image go: nowhere, into memory, or into a file. A sink counts and hashes what passes; what is
 * left of it can be read again, changed byte by byte for tests, and removed.
 */
import { createHash, type Hash } from "node:crypto"
import { createReadStream, mkdirSync, rmSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { join } from "node:path"

/**
 * Where image data goes: nowhere, into memory, or into a file `DIR/STORE/ID` each.
 *
 * @since 0.1.0
 * @category models
 */
export type DataMode = "discard" | "memory" | { readonly dir: string }

export interface StoredData {
  readonly size: number
  /** False when the bytes were thrown away, or the file is gone. */
  readonly readable: boolean
  /** The bytes from `offset`, `length` of them. */
  read(offset: number, length: number): AsyncIterable<Uint8Array>
  remove(): void
}

/** Takes the bytes of one upload. */
export interface Sink {
  readonly bytes: number
  write(bytes: Uint8Array): Promise<void> | undefined
  /** Ends the writing; `keep: false` removes the partial data. */
  finish(keep: boolean): Promise<StoredData>
}

const nothing = async function* (): AsyncIterable<Uint8Array> {}

class DiscardSink implements Sink {
  bytes = 0
  write(bytes: Uint8Array): undefined {
    this.bytes += bytes.length
  }
  async finish(): Promise<StoredData> {
    return { size: this.bytes, readable: false, read: nothing, remove: () => {} }
  }
}

const memoryData = (pieces: Array<Uint8Array>, size: number): StoredData => {
  let gone = false
  return {
    size,
    get readable() {
      return !gone
    },
    async *read(offset, length) {
      let from = offset
      let left = length
      for (const piece of pieces) {
        if (left <= 0) return
        if (from >= piece.length) {
          from -= piece.length
          continue
        }
        const part = piece.subarray(from, from + left)
        from = 0
        left -= part.length
        yield part
      }
    },
    remove: () => {
      gone = true
      pieces.length = 0
    }
  }
}

class MemorySink implements Sink {
  bytes = 0
  #pieces: Array<Uint8Array> = []
  write(bytes: Uint8Array): undefined {
    this.bytes += bytes.length
    this.#pieces.push(bytes)
  }
  async finish(keep: boolean): Promise<StoredData> {
    if (!keep) this.#pieces.length = 0
    return memoryData(this.#pieces, this.bytes)
  }
}

class FileSink implements Sink {
  bytes = 0
  readonly path: string
  #handle: Promise<FileHandle> | undefined
  constructor(dir: string, store: string, id: string) {
    mkdirSync(join(dir, store), { recursive: true })
    this.path = join(dir, store, id)
  }
  async write(bytes: Uint8Array): Promise<void> {
    this.bytes += bytes.length
    const handle = await (this.#handle ??= open(this.path, "w"))
    let written = 0
    while (written < bytes.length) written += (await handle.write(bytes, written)).bytesWritten
  }
  async finish(keep: boolean): Promise<StoredData> {
    await (await (this.#handle ??= open(this.path, "w"))).close()
    const path = this.path
    let gone = false
    const remove = () => {
      gone = true
      rmSync(path, { force: true })
    }
    if (!keep) remove()
    return {
      size: this.bytes,
      get readable() {
        return !gone
      },
      read: (offset, length) =>
        length === 0 ? nothing() : createReadStream(path, { start: offset, end: offset + length - 1 }),
      remove
    }
  }
}

export const openSink = (mode: DataMode, store: string, id: string): Sink =>
  mode === "discard" ? new DiscardSink() : mode === "memory" ? new MemorySink() : new FileSink(mode.dir, store, id)

/** All bytes of what is stored. */
export const allBytes = async (data: StoredData): Promise<Buffer> => {
  const pieces: Array<Uint8Array> = []
  for await (const piece of data.read(0, data.size)) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** The same data somewhere else: a copy to another store. */
export const copyData = async (data: StoredData, mode: DataMode, store: string, id: string): Promise<StoredData> => {
  const sink = openSink(mode, store, id)
  if (data.readable) for await (const piece of data.read(0, data.size)) await sink.write(piece)
  else return { ...data, remove: () => {} }
  return sink.finish(true)
}

/** The digests of one upload: MD5, and the site's algorithm. */
export class Digests {
  #md5: Hash
  #other: Hash
  readonly algo: string
  constructor(algo: string) {
    this.algo = algo
    this.#md5 = createHash("md5")
    this.#other = createHash(algo)
  }
  update(bytes: Uint8Array): void {
    this.#md5.update(bytes)
    this.#other.update(bytes)
  }
  finish(): { readonly checksum: string; readonly value: string } {
    return { checksum: this.#md5.digest("hex"), value: this.#other.digest("hex") }
  }
}
