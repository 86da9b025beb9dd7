/**
 * The display of a batch, fed with its events. On a terminal it redraws a table in place, at most ten times a second
 * and as large as the terminal is then; elsewhere it writes a line each ten seconds, and one at each failure, retry and
 * wait.
 *
 * @since 0.1.0
 */
import type { BatchEvent, Summary } from "@headrace/batch/BatchEvent"
import * as BatchText from "./BatchText.ts"
import * as View from "./BatchView.ts"
import * as LiveLines from "./internal/liveLines.ts"
import type { Mode, Output } from "./Progress.ts"

/**
 * The display.
 *
 * @since 0.1.0
 * @category models
 */
export interface BatchProgress {
  /** Takes an event in. */
  readonly event: (event: BatchEvent) => void
  /** Writes a line of its own, above the live lines. */
  readonly note: (line: string) => void
  /** Clears the live lines and stops. May be called again. */
  readonly end: () => void
  /** What is to be said at the end, also where nothing was shown before. */
  readonly summary: (event: Summary, options?: Parameters<typeof BatchText.summary>[2]) => ReadonlyArray<string>
}

const logMs = 10_000

/**
 * Makes a display. `TERM=dumb` counts as no terminal.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: { readonly mode?: Mode; readonly output?: Output }): BatchProgress => {
  const mode = options?.mode ?? "auto"
  const output = options?.output ?? process.stderr
  if (mode === "none") return silent(output)
  return mode === "auto" && output.isTTY === true && process.env["TERM"] !== "dumb" ? live(output) : log(output)
}

const silent = (output: Output): BatchProgress => {
  const view = View.make()
  return {
    event: (event) => View.take(view, event, performance.now()),
    note: (line) => void output.write(`${line}\n`),
    end: () => {},
    summary: (event, options) => BatchText.summary(view, event, options)
  }
}

const live = (output: Output): BatchProgress => {
  const unicode = LiveLines.takesUnicode(process.env)
  const view = View.make()
  const picture = LiveLines.make(output, (size, now) => BatchText.lines(view, { ...size, unicode, now }))
  return {
    event: (event) => {
      View.take(view, event, performance.now())
      picture.changed("soon")
    },
    note: picture.note,
    end: picture.end,
    summary: (event, options) => BatchText.summary(view, event, options)
  }
}

const log = (output: Output): BatchProgress => {
  const view = View.make()
  const tick = setInterval(() => {
    if (view.batch !== undefined) output.write(`${BatchText.logLine(view, performance.now())}\n`)
  }, logMs)
  tick.unref()
  return {
    event: (event) => {
      View.take(view, event, performance.now())
      const line = BatchText.eventLine(view, event)
      if (line !== undefined) output.write(`${line}\n`)
    },
    note: (line) => void output.write(`${line}\n`),
    end: () => clearInterval(tick),
    summary: (event, options) => BatchText.summary(view, event, options)
  }
}
