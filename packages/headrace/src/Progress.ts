/**
 * A progress display on a terminal or in a log, fed with a transfer's events. On a terminal it redraws a few lines
 * in place, at most ten times a second, as wide as the terminal is then; elsewhere it writes a line each ten seconds and
 * one at each retry and verdict. It never hides the cursor, so there is nothing to restore however the process ends.
 *
 * @since 0.1.0
 */
import * as LiveLines from "./internal/liveLines.ts"
import * as View from "./ProgressView.ts"
import type { TransferEvent } from "./Types.ts"

/**
 * `auto`: live on a terminal, a log elsewhere.
 *
 * @since 0.1.0
 * @category models
 */
export type Mode = "auto" | "plain" | "none"

/**
 * What the display needs of a stream; `process.stderr` is one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Output {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  write(text: string): unknown
}

/**
 * The display.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** Takes an event in. */
  readonly event: (event: TransferEvent) => void
  /** Writes a line of its own, above the live lines. */
  readonly note: (line: string) => void
  /** Clears the live lines and stops. May be called again. */
  readonly end: () => void
}

const logMs = 10_000

/**
 * Makes a display. `TERM=dumb` counts as no terminal.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: { readonly mode?: Mode; readonly output?: Output }): Progress => {
  const mode = options?.mode ?? "auto"
  const output = options?.output ?? process.stderr
  if (mode === "none") return { event: () => {}, note: (line) => void output.write(`${line}\n`), end: () => {} }
  return mode === "auto" && output.isTTY === true && process.env["TERM"] !== "dumb" ? live(output) : log(output)
}

const live = (output: Output): Progress => {
  const unicode = LiveLines.takesUnicode(process.env)
  let view = View.empty
  let ended = false
  const picture = LiveLines.make(output, (size, now) => View.lines(view, { ...size, unicode, now }))
  return {
    event: (event) => {
      if (ended) return
      view = View.update(view, event, performance.now())
      picture.changed(event.type === "progress" ? "soon" : "now")
    },
    note: picture.note,
    end: () => {
      ended = true
      picture.end()
    }
  }
}

const log = (output: Output): Progress => {
  let view = View.empty
  const tick = setInterval(() => {
    if (view.source !== "") output.write(`${View.logLine(view, performance.now())}\n`)
  }, logMs)
  tick.unref()
  return {
    event: (event) => {
      view = View.update(view, event, performance.now())
      const line = View.eventLine(event)
      if (line !== undefined) output.write(`${line}\n`)
    },
    note: (line) => void output.write(`${line}\n`),
    end: () => clearInterval(tick)
  }
}
