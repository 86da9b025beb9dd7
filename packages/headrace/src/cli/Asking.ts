/**
 * Commands that only ask a store something: what runs them, and how their errors are told.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { StoreError } from "@headrace/core/StoreError"
import type * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import type * as Ends from "@headrace/batch/Ends"
import * as Engine from "../Engine.ts"
import * as Uri from "@headrace/batch/Uri"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

/** Says that something is wrong with what was written. */
export const wrong = (what: string, message: string): number => {
  Session.complain(ErrorLine.ofUsage(what, message))
  return ExitCode.usage
}

const failed = (error: StoreError): number => {
  const reason = error.reason._tag
  const { message, objectId, status, uri } = error
  Session.complain(
    ErrorLine.ofFailure({ reason, uri, message, status, objectId, left: "none", sent: false, asked: true })
  )
  return ExitCode.ofFailure({ reason, asked: true })
}

/** Runs the command and gives its exit code. */
export const run = (
  given: { readonly uri: string; readonly json: boolean },
  program: (out: Stdout.Stdout) => Effect.Effect<number, Ends.EndError | StoreError, NodeHeadrace.Services>
): Promise<number> =>
  Session.run({
    json: given.json,
    program: (out) =>
      program(out).pipe(
        Effect.provide(Engine.layer({ digest: [], expect: {} })),
        Effect.catchTags({
          EndError: ({ message, uri }) => Effect.sync(() => wrong(uri, message)),
          StoreError: (error) => Effect.sync(() => failed(error))
        })
      ),
    interrupted: (signal) =>
      signal === undefined ? undefined : ErrorLine.ofUsage(Uri.shown(given.uri), `interrupted (${signal})`),
    abandoned: () => undefined
  })
