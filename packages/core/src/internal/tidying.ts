/**
 * Tidying up after an upload that came to nothing.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Left, Session } from "../Store.ts"
import type { Standing } from "./standing.ts"

interface Begun {
  readonly session: Session | undefined
  readonly standing: Standing | undefined
}

/** What is left at a destination that failed, after its session has tidied up. */
export const leave = ({ session, standing }: Begun, keep: boolean): Effect.Effect<Left> =>
  session === undefined
    ? Effect.succeed("none")
    : Effect.tap(keep ? session.left : session.discard, (left) => standing?.ended(left) ?? Effect.void)

/** Within the time that a person waits after Ctrl-C. */
const soon = (left: Effect.Effect<Left>, session: Session | undefined): Effect.Effect<Left> =>
  Effect.flatMap(
    Effect.timeoutOption(Effect.interruptible(left), 4500),
    Option.match({
      onSome: Effect.succeed,
      onNone: () => Effect.map(session?.location ?? Effect.succeed("none"), (uri) => `unknown ${uri}`)
    })
  )

/** Tidies up after an interruption. */
export const abandon = (begun: Begun, keep: boolean): Effect.Effect<Left> => soon(leave(begun, keep), begun.session)

/** After an interruption, of an object that is proven and stays: what is there. */
export const remaining = (session: Session): Effect.Effect<Left> => soon(session.left, session)
