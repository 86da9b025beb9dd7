/**
 * A report as a page for a browser: one file, complete in itself. It asks for nothing over a network, runs no script, is
 * to be read by day, by night, on a narrow screen and on paper, and has a table for what each plot shows.
 *
 * @since 0.1.0
 */
import { text } from "./internal/report/markup.ts"
import * as Sections from "./internal/report/sections.ts"
import { style } from "./internal/report/style.ts"
import type { Report } from "./Report.ts"

/**
 * What the page says besides the figures.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** What the report is of: a file's name. */
  readonly of: string
  /** ISO 8601, UTC. */
  readonly madeAt: string
}

/** Also if something of a name were taken for markup, nothing would be run or fetched. */
const policy = "default-src 'none'; style-src 'unsafe-inline'"

/**
 * The page in pieces, in their order.
 *
 * @since 0.1.0
 * @category formatting
 */
export function* render(report: Report, { madeAt, of }: Options): Generator<string> {
  yield `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">`
  yield '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">'
  yield `<title>${text(`${Sections.headline(report)} – ${of}`)}</title><style>${style}</style></head>\n<body><main>\n`
  yield* Sections.verdict(report, of)
  yield* Sections.overTime(report)
  yield* Sections.taken(report)
  yield* Sections.reasons(report)
  yield* Sections.places(report)
  yield* Sections.sizes(report)
  yield* Sections.slowest(report)
  yield* Sections.failures(report)
  yield* Sections.about(report, madeAt)
  yield "</main></body></html>\n"
}
