/** A manifest as a program gives it: a file, or lines. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Given } from "@headrace/batch/Batch"
import * as Line from "@headrace/batch/Line"
import * as Manifest from "@headrace/batch/Manifest"
import type { ManifestInput } from "../Run.ts"

const name = "lines"

const fromLines = (lines: Exclude<ManifestInput, string>): Given["lines"] => {
  const each = async function* () {
    yield* lines
  }
  let number = 0
  return Stream.map(
    Stream.fromAsyncIterable(each(), (cause) => {
      const message = `they cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`
      return new Manifest.ManifestError({ name, message })
    }),
    (json): Manifest.Read => {
      number++
      const line = Line.decode(json, number)
      return Result.isSuccess(line)
        ? { _tag: "Line", number, line: line.success }
        : { _tag: "Wrong", number, field: line.failure.field, message: line.failure.message }
    }
  )
}

/** `at` finds a path's place. */
export const of = (
  manifest: ManifestInput,
  at: (path: string) => string
): Effect.Effect<Given, Manifest.ManifestError> => {
  if (typeof manifest !== "string") return Effect.succeed({ name, lines: fromLines(manifest) })
  const path = at(manifest)
  return Effect.map(Manifest.contentOf(path), (content) => ({
    name: manifest,
    lines: Manifest.fromFile(path),
    content
  }))
}
