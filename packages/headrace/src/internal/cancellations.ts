/** Which of an upload's destinations have been cancelled, and who waits to hear of it. */
import * as Effect from "effect/Effect"

export interface Cancellations {
  /** Cancels a destination: by its text as it was given, or by its place. */
  readonly cancel: (destination: string | number) => void
  /** Ends when the destination at a place is cancelled. */
  readonly of: (index: number) => Effect.Effect<void>
}

export const make = (given: ReadonlyArray<string>): Cancellations => {
  const cancelled = new Set<number>()
  const waiting = new Map<number, () => void>()
  return {
    cancel: (destination) => {
      const index = typeof destination === "number" ? destination : given.indexOf(destination)
      if (given[index] === undefined) throw new RangeError(`${String(destination)} is no destination of this upload`)
      cancelled.add(index)
      waiting.get(index)?.()
    },
    of: (index) =>
      Effect.callback<void>((resume) => {
        if (cancelled.has(index)) return resume(Effect.void)
        waiting.set(index, () => resume(Effect.void))
        return Effect.sync(() => waiting.delete(index))
      })
  }
}
