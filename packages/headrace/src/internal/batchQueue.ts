/**
 * Events between a batch and a program that reads them. A reader who is slow makes the batch wait, once `room` events are
 * waiting; one who has gone, or never came, misses them, and holds nothing up.
 */
import type { BatchEvent } from "../BatchTypes.ts"

const room = 1000

export interface BatchQueue {
  /** Gives something to wait for when there is no room for more. */
  readonly push: (event: BatchEvent) => Promise<void> | undefined
  readonly end: () => void
  readonly events: AsyncIterable<BatchEvent>
}

export const make = (): BatchQueue => {
  const waiting: Array<BatchEvent> = []
  let reader: ((result: IteratorResult<BatchEvent, undefined>) => void) | undefined
  let wakeWriter: (() => void) | undefined
  let hasRoom: Promise<void> | undefined
  let state: "unread" | "read" | "gone" = "unread"
  let ended = false

  const free = () => {
    wakeWriter?.()
    wakeWriter = hasRoom = undefined
  }

  const next = (): Promise<IteratorResult<BatchEvent, undefined>> => {
    const event = waiting.shift()
    if (waiting.length < room) free()
    if (event !== undefined) return Promise.resolve({ done: false, value: event })
    if (ended || state === "gone") return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => {
      reader = resolve
    })
  }

  return {
    push: (event) => {
      if (state === "gone") return undefined
      if (reader !== undefined) {
        const resolve = reader
        reader = undefined
        resolve({ done: false, value: event })
        return undefined
      }
      const last = waiting.length - 1
      if (event.type === "progress" && waiting[last]?.type === "progress" && waiting[last].id === event.id) {
        waiting[last] = event
        return undefined
      }
      if (waiting.length < room) {
        waiting.push(event)
        return undefined
      }
      if (state === "unread") return undefined
      waiting.push(event)
      return (hasRoom ??= new Promise((resolve) => {
        wakeWriter = resolve
      }))
    },
    end: () => {
      ended = true
      if (waiting.length === 0) reader?.({ done: true, value: undefined })
    },
    events: {
      [Symbol.asyncIterator]: () => {
        state = "read"
        return {
          next,
          return: () => {
            state = "gone"
            waiting.length = 0
            free()
            return Promise.resolve({ done: true, value: undefined })
          }
        }
      }
    }
  }
}
