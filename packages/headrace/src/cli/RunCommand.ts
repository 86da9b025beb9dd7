/**
 * `headrace run`: the transfers of a manifest, told as they go, with the sum of it at the end.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Batch from "@headrace/batch/Batch"
import * as Manifest from "@headrace/batch/Manifest"
import * as BatchRun from "./BatchRun.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Run } from "./Invocation.ts"
import * as Session from "./Session.ts"

const stdin = "-"

const manifestOf = (name: string): Effect.Effect<Batch.Given, Manifest.ManifestError> =>
  name === stdin
    ? Effect.succeed({ name: "standard input", lines: Manifest.fromReadable(() => process.stdin, "standard input") })
    : Effect.map(Manifest.contentOf(name), (content) => ({ name, lines: Manifest.fromFile(name), content }))

/** Runs the command and gives its exit code. */
export const run = (given: Run): Promise<number> => {
  if (given.manifest === stdin && given.journal === undefined) {
    const message = "this option is missing: standard input has no place for a journal beside it; write --journal FILE"
    Session.complain(ErrorLine.ofUsage("--journal", message))
    return Promise.resolve(ExitCode.usage)
  }
  return BatchRun.run(given, {
    name: given.manifest,
    journal: given.journal ?? `${given.manifest}.journal`,
    run: (options) => Effect.flatMap(manifestOf(given.manifest), (manifest) => Batch.run(manifest, options)),
    retryFailed: given.retryFailed,
    skipInvalid: given.skipInvalid,
    replan: given.replan,
    skipExisting: given.skipExisting,
    again: "the same command with --retry-failed"
  })
}
