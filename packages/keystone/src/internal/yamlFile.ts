/**
 * Reads the text of a clouds file. Scalars stay text as typed: a password `0123` or a project id of digits with one
 * `e` in it must not become a number, and `~`, `null` and nothing are absent.
 *
 * A syntax error is told in words of our own: the parser's may quote the line, and the line may hold a password.
 */
import * as Result from "effect/Result"
import { LineCounter, parseDocument } from "yaml"
import { isSection, type Section, type Value } from "./section.ts"

const typed = new Set(["tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"])

const words: Readonly<Record<string, string>> = {
  BAD_ALIAS: "an alias that cannot be used here",
  BAD_DQ_ESCAPE: "an unknown escape in double quotes (use single quotes for a backslash)",
  BAD_INDENT: "wrong indentation, or a bracket that is not closed",
  BAD_SCALAR_START: "a value that begins with a reserved character (quote it)",
  BLOCK_AS_IMPLICIT_KEY: "a mapping inside a value (check the indentation; quote a value that contains ': ')",
  MISSING_CHAR: "a missing character, such as a closing quote or bracket",
  MULTILINE_IMPLICIT_KEY: "a key without ':'",
  MULTIPLE_DOCS: "more than one document",
  TAB_AS_INDENT: "a tab used as indentation",
  TAG_RESOLVE_FAILED: "an unknown tag, such as !secret",
  UNEXPECTED_TOKEN: "a character that has no business there, such as a surplus bracket"
}

/**
 * The file as a mapping; an empty file is an empty one. The failure is `FILE:LINE: what is wrong`.
 */
export const parse = (path: string, text: string): Result.Result<Section, string> => {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    logLevel: "error",
    merge: true,
    uniqueKeys: false,
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !typed.has(tag.tag))
  })
  const error = document.errors[0] ?? document.warnings[0]
  if (error !== undefined) {
    // What is not closed is noticed at the end; the last line with something in it is the one to show.
    const line = Math.min(lines.linePos(error.pos[0]).line, text.trimEnd().split("\n").length)
    return Result.fail(`${path}:${line}: not valid YAML: ${words[error.code] ?? "it cannot be read"}`)
  }
  return Result.try({
    try: () => normalise(document.toJS({ maxAliasCount: 1000 })),
    catch: () =>
      `${path}: not valid YAML: an alias names an anchor that is not there or holds it, or there are too many`
  }).pipe(
    Result.flatMap((value) => {
      if (value === null) return Result.succeed({})
      return isSection(value) ? Result.succeed(value) : Result.fail(`${path}: must be a mapping with a key "clouds"`)
    })
  )
}

const normalise = (value: unknown): Value => {
  if (value === null || value === undefined) return null
  if (Array.isArray(value)) return value.map(normalise)
  if (typeof value === "object") return normaliseKeys(value)
  return String(value)
}

const normaliseKeys = (value: object): Section =>
  Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normalise(item)]))
