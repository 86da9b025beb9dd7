/**
 * A gate for so many at once, whatever their services.
 */
import * as Effect from "effect/Effect"
import type { Gate } from "./schedule.ts"

export const make = (most: number): Effect.Effect<Gate> =>
  Effect.sync(() => {
    let running = 0
    return {
      admits: () => running < most,
      begin: () => {
        running++
        let over = false
        return () =>
          Effect.sync(() => {
            if (!over) running--
            over = true
          })
      },
      changed: Effect.never
    }
  })
