/**
 * Events between a transfer, which never waits, and a program that may read them late or not at all. Of `progress`
 * events only the newest waits; of the others there are few.
 */
import type { TransferEvent } from "../Types.ts"

export interface EventQueue {
  readonly push: (event: TransferEvent) => void
  readonly end: () => void
  readonly events: AsyncIterable<TransferEvent>
}

export const make = (): EventQueue => {
  const waiting: Array<TransferEvent> = []
  const readers: Array<(result: IteratorResult<TransferEvent, undefined>) => void> = []
  let ended = false

  const next = (): Promise<IteratorResult<TransferEvent, undefined>> => {
    const event = waiting.shift()
    if (event !== undefined) return Promise.resolve({ done: false, value: event })
    if (ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => readers.push(resolve))
  }

  return {
    push: (event) => {
      const reader = readers.shift()
      if (reader !== undefined) return reader({ done: false, value: event })
      const last = waiting.length - 1
      if (event.type === "progress" && waiting[last]?.type === "progress") waiting[last] = event
      else waiting.push(event)
    },
    end: () => {
      ended = true
      for (const reader of readers.splice(0)) reader({ done: true, value: undefined })
    },
    events: { [Symbol.asyncIterator]: () => ({ next }) }
  }
}
