/**
 * Iterables of programs as Effect streams. One item is asked for when the one before is done with, as `for await`
 * does, so that whoever gives them may use their memory again. Node's `Readable.from` asks ahead: the item would be
 * written over before it is looked at.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"

/** What was to be read has been read before; trying again gives no more. */
export class UsedUp extends Error {
  constructor() {
    super("the stream has been read already")
  }
}

type Items = Iterable<unknown> | AsyncIterable<unknown>

/** Iterators that were handed out. Those that are their own iterables, as generators are, can be read once. */
const begun = new WeakSet<object>()

const begin = (items: Items): Iterator<unknown> | AsyncIterator<unknown> => {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  if (begun.has(iterator)) throw new UsedUp()
  begun.add(iterator)
  return iterator
}

/** Closing it tells the iterator that nobody reads on, and does not wait for what that does. */
export const fromItems = <E>(items: Items, onError: (cause: unknown) => E): Stream.Stream<unknown, E> =>
  Stream.scoped(
    Stream.unwrap(
      Effect.gen(function* () {
        const iterator = yield* Effect.try({ try: () => begin(items), catch: onError })
        let over = false
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (over || iterator.return === undefined) return
            over = true
            // What goes wrong in tidying up changes nothing: all that was wanted has been read.
            void (async () => iterator.return?.())().catch(() => {})
          })
        )
        const taken = (result: IteratorResult<unknown>): Pull.Pull<readonly [unknown], E> => {
          if (typeof result !== "object" || result === null) return failed(new TypeError("its iterator gave no result"))
          if (result.done !== true) return Effect.succeed([result.value] as const)
          over = true
          return Cause.done()
        }
        const failed = (cause: unknown): Pull.Pull<readonly [unknown], E> => {
          over = true
          return Effect.fail(onError(cause))
        }
        const next = Effect.suspend((): Pull.Pull<readonly [unknown], E> => {
          try {
            const result = iterator.next()
            if (typeof result !== "object" || result === null || !("then" in result)) return taken(result)
            return Effect.callback((resume) => {
              result.then(
                (value) => resume(taken(value)),
                (cause: unknown) => resume(failed(cause))
              )
            })
          } catch (cause) {
            return failed(cause)
          }
        })
        return Stream.fromPull(Effect.succeed(next))
      })
    )
  )
