/**
 * A block is a leased piece of a pool's memory with bytes in it. Whoever holds a block gives it back exactly once;
 * the memory is free again when the last holder has done so. `share` and `slice` make further holders of the same
 * bytes without copying them.
 *
 * Giving back twice, and using a block that was given back, is a programming error: it throws `BlockDefect`, which
 * surfaces as a defect of the fiber.
 *
 * @since 0.1.0
 */

/**
 * A misuse of a block.
 *
 * @since 0.1.0
 * @category errors
 */
export class BlockDefect extends Error {
  override readonly name = "BlockDefect"
}

/**
 * One piece of a pool's memory, and how many hold it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  /** The whole piece. Backed by a `SharedArrayBuffer` where the platform has it. */
  readonly memory: Uint8Array
  holders: number
  /** False once the share it was taken from is closed: every block on it is void then. */
  leased: boolean
  readonly onFree: () => void
}

/**
 * A holder's view of the bytes.
 *
 * @since 0.1.0
 * @category models
 */
export class Block {
  readonly #page: Page
  #start: number
  #end: number
  #held = true

  /** @internal Blocks are made by a pool. */
  constructor(page: Page, start: number, end: number) {
    this.#page = page
    this.#start = start
    this.#end = end
  }

  #use(what: string): Page {
    if (!this.#held) throw new BlockDefect(`${what} of a block that was given back`)
    if (!this.#page.leased) throw new BlockDefect(`${what} of a block whose share of the pool is closed`)
    return this.#page
  }

  /** Number of bytes in the block. */
  get length(): number {
    return this.#end - this.#start
  }

  /** Whether this holder still holds it. */
  get held(): boolean {
    return this.#held && this.#page.leased
  }

  /**
   * The bytes: a view, which may be on shared memory. It is valid until `release`; who needs plain memory, or needs
   * it longer, takes a `copy`. `fetch`, WebCrypto and `CompressionStream` must get a copy: on shared memory they
   * fail, or silently send other bytes.
   */
  get bytes(): Uint8Array {
    return this.#use("use").memory.subarray(this.#start, this.#end)
  }

  /** All of the block's memory, for a source to read into before it says how much it got with `setLength`. */
  get space(): Uint8Array {
    return this.#use("use").memory
  }

  /** Says how many bytes, from the start of `space`, are there. Only for a block that nobody shares yet. */
  setLength(length: number): this {
    const page = this.#use("change")
    if (page.holders !== 1) throw new BlockDefect("change of a block that others hold too")
    if (length < 0 || length > page.memory.byteLength) {
      throw new BlockDefect(`a block of ${page.memory.byteLength} bytes cannot hold ${length}`)
    }
    this.#start = 0
    this.#end = length
    return this
  }

  /** One more holder of the same bytes. */
  share(): Block {
    return this.slice(0, this.length)
  }

  /** One more holder, of a part of the bytes: from `start` up to, not including, `end`, in bytes from the block's start. */
  slice(start: number, end: number): Block {
    const page = this.#use("share")
    if (start < 0 || end > this.length || start > end) {
      throw new BlockDefect(`no bytes ${start} to ${end} in a block of ${this.length}`)
    }
    page.holders++
    return new Block(page, this.#start + start, this.#start + end)
  }

  /** The bytes in plain memory of their own. */
  copy(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes)
  }

  /** Gives the block back, for this holder. */
  release(): void {
    if (!this.#held) throw new BlockDefect("a block was given back twice")
    this.#held = false
    // After the share closed, everything is back already: a late holder has nothing left to give.
    if (!this.#page.leased) return
    if (--this.#page.holders === 0) this.#page.onFree()
  }
}
