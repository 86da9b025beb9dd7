/**
 * A progress display on a terminal or in a log, fed with a transfer's events. On a terminal it redraws a few lines
 * in place, at most ten times a second, as wide as the terminal is then; elsewhere it writes a line each ten seconds and
 * one at each retry and verdict. It never hides the cursor, so there is nothing to restore however the process ends.
 *
 * @since 0.1.0
 */
import * as View from "./ProgressView.ts"
import type { TransferEvent } from "./Types.ts"
import * as Text from "./Text.ts"

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

const redrawMs = 100
const logMs = 10_000

/** Whether the locale says that the terminal takes more than ASCII. */
const takesUnicode = (env: NodeJS.ProcessEnv): boolean =>
  /utf-?8/i.test(env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "") || process.platform === "win32"

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
  const unicode = takesUnicode(process.env)
  let view = View.empty
  /** The lines that stand on the screen now. */
  let drawn: ReadonlyArray<string> = []
  let drawnAt = -Infinity
  let ended = false

  /** A terminal that nobody has told its size, as under `docker run -t`, says 0. */
  const width = (): number => output.columns || 80

  /** Back to the start of the first live line, which may have been wrapped by a terminal made narrower. */
  const home = (): string => {
    if (drawn.length === 0) return ""
    const columns = width()
    const rows = drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(Text.width(line) / columns)), 0)
    return `${rows > 1 ? `\u001b[${rows - 1}A` : ""}\r`
  }

  const draw = (now: number) => {
    const lines = View.lines(view, { columns: Math.max(1, width() - 1), rows: output.rows || 24, unicode, now })
    if (lines.length === 0) return
    // One write a frame, each line cleared behind its end: nothing flickers.
    output.write(`${home()}${lines.map((line) => `${line}\u001b[K`).join("\n")}\u001b[J`)
    drawn = lines
    drawnAt = now
  }

  const clear = () => {
    if (drawn.length > 0) output.write(`${home()}\u001b[J`)
    drawn = []
  }

  const tick = setInterval(() => {
    const now = performance.now()
    // A wait that counts down, a rate that has come since: the picture may be old without any event.
    if (now - drawnAt >= redrawMs) draw(now)
  }, redrawMs * 2)
  tick.unref()

  // After a stop (Ctrl-Z) the shell has written below the live lines: start anew under it.
  const resumed = () => {
    drawn = []
  }
  process.on("SIGCONT", resumed)

  return {
    event: (event) => {
      if (ended) return
      const now = performance.now()
      view = View.update(view, event, now)
      if (now - drawnAt >= redrawMs || event.type !== "progress") draw(now)
    },
    note: (line) => {
      clear()
      output.write(`${line}\n`)
      if (!ended) draw(performance.now())
    },
    end: () => {
      if (ended) return
      ended = true
      clearInterval(tick)
      process.off("SIGCONT", resumed)
      clear()
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
