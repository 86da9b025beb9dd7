/**
 * Tidying up after an upload that came to nothing.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Left, Session } from "../Store.ts"

/** What is left at a destination that failed, after its session has tidied up. */
export const leave = (session: Session | undefined, keep: boolean): Effect.Effect<Left> =>
  session === undefined ? Effect.succeed("none") : keep ? session.left : session.discard

/** Tidies up after an interruption, within the time that a person waits after Ctrl-C. */
export const abandon = (session: Session | undefined, keep: boolean): Effect.Effect<Left> =>
  session === undefined
    ? Effect.succeed("none")
    : Effect.flatMap(
        Effect.timeoutOption(Effect.interruptible(leave(session, keep)), 4500),
        Option.match({
          onSome: Effect.succeed,
          onNone: () => Effect.map(session.location, (uri) => `unknown ${uri}`)
        })
      )
