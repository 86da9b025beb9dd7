/**
 * The memory budget of a process, and its backpressure: a source may read only into a free block, so memory is
 * bounded by the pool, whatever the size and number of transfers. Blocks are pieces of one `SharedArrayBuffer`
 * where the platform has it, so that digest workers read what the socket writes.
 *
 * A transfer takes its blocks through a share. A share's minimum is set aside when it is opened, so transfers cannot
 * starve each other into a deadlock; what nobody is owed is lent to whoever asked first.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Block, BlockDefect, type Page } from "./Block.ts"

/**
 * Bytes in a block: 1 MiB.
 *
 * @since 0.1.0
 * @category models
 */
export const blockBytes = 1024 * 1024

/**
 * What a pool says of itself, in blocks.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  readonly capacity: number
  readonly inUse: number
  /** The most that were in use at once. */
  readonly highWater: number
  /** How many wait for a block or for a share. */
  readonly waiters: number
  /** Blocks that are set aside for open shares. */
  readonly reserved: number
}

/**
 * One transfer's share of a pool. Sources and stages take their blocks here.
 *
 * @since 0.1.0
 * @category services
 */
export class BlockShare extends Context.Service<
  BlockShare,
  {
    /**
     * Waits for a free block, which is empty. Waiting is fair and can be interrupted. Once the share is closed it
     * dies with `BlockDefect`.
     */
    readonly take: Effect.Effect<Block>
    /** A free block if one can be had at once, without passing by anybody who waits: to read ahead. */
    readonly takeNow: () => Block | undefined
    /** How many blocks it is owed; no more than the pool has. */
    readonly minimum: number
    /**
     * Has more blocks set aside for this share, so that it is owed `minimum`; false when that cannot be done at once, or
     * others wait. It never waits itself: who waits with blocks in hand for more may wait for others who do the same.
     */
    readonly grow: (minimum: number) => boolean
    /** Has nothing set aside any more: what it holds not is free for others. It may still take what nobody is owed. */
    readonly shrink: () => void
    /** How many blocks this share holds now. */
    readonly inUse: () => number
    /** Bytes in a block of this pool. */
    readonly blockBytes: number
  }
>()("@headrace/core/BlockPool/BlockShare") {}

/**
 * The pool.
 *
 * @since 0.1.0
 * @category services
 */
export class BlockPool extends Context.Service<
  BlockPool,
  {
    /**
     * Opens a share that is owed at least `minimum` blocks; waits until so many can be set aside, and not at all for
     * none. When the scope closes, every block that is still out is taken back, whoever holds it.
     */
    readonly share: (minimum: number) => Effect.Effect<BlockShare["Service"], never, Scope.Scope>
    readonly stats: () => Stats
    /** The memory that all blocks are pieces of. */
    readonly memory: ArrayBufferLike
  }
>()("@headrace/core/BlockPool") {}

/** A share's own books. */
interface Account {
  minimum: number
  held: number
  readonly pages: Set<Page>
}

interface Waiter {
  /** Does what is waited for if it can be done now. */
  readonly attempt: () => boolean
  /** Lets the one who waits go on. */
  readonly resume: () => void
  /** Whether what it waits for is set aside for it already: then it passes nobody by. */
  readonly owed: () => boolean
}

/**
 * Makes a pool of `bytes` of memory (rounded down to whole blocks, at least `blockBytes`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly bytes: number
  readonly blockBytes?: number
}): Effect.Effect<BlockPool["Service"]> => Effect.sync(() => makeUnsafe(options))

/**
 * Makes a pool at once.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeUnsafe = (options: { readonly bytes: number; readonly blockBytes?: number }): BlockPool["Service"] => {
  const size = options.blockBytes ?? blockBytes
  const capacity = Math.max(1, Math.floor(options.bytes / size))
  const memory: ArrayBufferLike =
    typeof SharedArrayBuffer === "undefined" ? new ArrayBuffer(capacity * size) : new SharedArrayBuffer(capacity * size)
  // Last in, first out: memory that was touched stays in use, the rest of the buffer never costs real memory.
  const free: Array<number> = Array.from({ length: capacity }, (_, i) => capacity - 1 - i)
  const accounts = new Set<Account>()
  const queue: Array<Waiter> = []
  let highWater = 0
  let reserved = 0
  /** Blocks set aside for shares that hold fewer than their minimum. */
  let owed = 0

  const owedTo = (account: Account) => Math.max(0, account.minimum - account.held)

  const change = (account: Account, by: number) => {
    owed -= owedTo(account)
    account.held += by
    owed += owedTo(account)
  }

  const wake = () => {
    while (queue.length > 0) {
      // In order, but for those who take what they are owed. One that cannot be served yet holds up those behind it,
      // or it might wait for ever; those who are owed must not stand behind it, or it might wait for them.
      const index = Math.max(
        0,
        queue.findIndex((waiter) => waiter.owed())
      )
      const waiter = queue[index]!
      if (!waiter.attempt()) return
      // Off the queue before it goes on: it goes on at once, and may come back here.
      queue.splice(index, 1)
      waiter.resume()
    }
  }

  const lend = (account: Account): Block => {
    const index = free.pop()!
    const page: Page = {
      memory: new Uint8Array(memory, index * size, size),
      holders: 1,
      leased: true,
      onFree: () => {
        account.pages.delete(page)
        page.leased = false
        free.push(index)
        if (accounts.has(account)) change(account, -1)
        wake()
      }
    }
    account.pages.add(page)
    change(account, 1)
    highWater = Math.max(highWater, capacity - free.length)
    return new Block(page, 0, 0)
  }

  const isOwed = (account: Account) => account.held < account.minimum

  const canTake = (account: Account) => isOwed(account) || free.length - owed > 0

  const wait = <A>(
    attempt: () => Effect.Effect<A> | undefined,
    undo: (effect: Effect.Effect<A>) => Effect.Effect<void>,
    passes: () => boolean
  ): Effect.Effect<A> =>
    Effect.callback<A>((resume) => {
      if (queue.length === 0 || passes()) {
        const now = attempt()
        if (now !== undefined) return resume(now)
      }
      let got: Effect.Effect<A> | undefined
      const waiter: Waiter = {
        attempt: () => (got = attempt()) !== undefined,
        resume: () => {
          if (got !== undefined) resume(got)
        },
        owed: passes
      }
      queue.push(waiter)
      return Effect.suspend(() => {
        // Served while it was being interrupted: nobody will ever see it, so it goes back.
        if (got !== undefined) return undo(got)
        queue.splice(queue.indexOf(waiter), 1)
        wake()
        return Effect.void
      })
    })

  const openAccount = (minimum: number): Effect.Effect<Account> =>
    wait<Account>(
      () => {
        if (free.length - owed < minimum) return undefined
        const account: Account = { minimum, held: 0, pages: new Set() }
        accounts.add(account)
        owed += minimum
        reserved += minimum
        return Effect.succeed(account)
      },
      (account) => Effect.map(account, closeAccount),
      () => minimum === 0
    )

  const growAccount = (account: Account, minimum: number): boolean => {
    if (minimum <= account.minimum) return true
    if (minimum > capacity || !accounts.has(account) || queue.length > 0) return false
    const more = Math.max(0, minimum - account.held) - owedTo(account)
    if (free.length - owed < more) return false
    owed += more
    reserved += minimum - account.minimum
    account.minimum = minimum
    return true
  }

  const shrinkAccount = (account: Account) => {
    if (!accounts.has(account)) return
    owed -= owedTo(account)
    reserved -= account.minimum
    account.minimum = 0
    wake()
  }

  const closeAccount = (account: Account) => {
    accounts.delete(account)
    owed -= owedTo(account)
    reserved -= account.minimum
    for (const page of account.pages) page.onFree()
    wake()
  }

  const share = (minimum: number): Effect.Effect<BlockShare["Service"], never, Scope.Scope> =>
    Effect.acquireRelease(
      openAccount(Math.min(Math.max(0, minimum), capacity)),
      (account) => Effect.sync(() => closeAccount(account)),
      { interruptible: true }
    ).pipe(
      Effect.map((account) =>
        BlockShare.of({
          take: wait(
            () =>
              accounts.has(account)
                ? canTake(account)
                  ? Effect.succeed(lend(account))
                  : undefined
                : Effect.die(new BlockDefect("a block was asked of a share that is closed")),
            (block) => Effect.map(block, (block) => block.release()),
            () => isOwed(account) || !accounts.has(account)
          ),
          takeNow: () =>
            accounts.has(account) && (queue.length === 0 || isOwed(account)) && canTake(account)
              ? lend(account)
              : undefined,
          get minimum() {
            return account.minimum
          },
          grow: (minimum) => growAccount(account, minimum),
          shrink: () => shrinkAccount(account),
          inUse: () => account.held,
          blockBytes: size
        })
      )
    )

  return BlockPool.of({
    share,
    memory,
    stats: () => ({ capacity, inUse: capacity - free.length, highWater, waiters: queue.length, reserved })
  })
}

/**
 * A pool for the whole process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: { readonly bytes: number; readonly blockBytes?: number }): Layer.Layer<BlockPool> =>
  Layer.effect(BlockPool, make(options))
