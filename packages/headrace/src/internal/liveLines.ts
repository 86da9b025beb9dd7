/**
 * A few lines that are redrawn in place on a terminal, at most ten times a second. The cursor is never hidden, so there
 * is nothing to restore however the process ends.
 */
import type { Output } from "../Progress.ts"
import * as Text from "../Text.ts"

const redrawMs = 100

/** Whether the locale says that the terminal takes more than ASCII. */
export const takesUnicode = (env: NodeJS.ProcessEnv): boolean =>
  /utf-?8/i.test(env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "") || process.platform === "win32"

export interface Size {
  readonly columns: number
  readonly rows: number
}

export interface LiveLines {
  /** Something has changed: redraws, unless the last picture is young; `now` redraws in any case. */
  readonly changed: (when: "soon" | "now") => void
  /** Writes a line of its own, above the live lines. */
  readonly note: (line: string) => void
  /** Clears the live lines and stops. May be called again. */
  readonly end: () => void
}

/** `lines` gives the picture for a terminal of this size, each line at most so wide. */
export const make = (output: Output, lines: (size: Size, now: number) => ReadonlyArray<string>): LiveLines => {
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
    const next = lines({ columns: Math.max(1, width() - 1), rows: output.rows || 24 }, now)
    if (next.length === 0) return
    // One write a frame, each line cleared behind its end: nothing flickers.
    output.write(`${home()}${next.map((line) => `${line}\u001b[K`).join("\n")}\u001b[J`)
    drawn = next
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
    changed: (when) => {
      if (ended) return
      const now = performance.now()
      if (when === "now" || now - drawnAt >= redrawMs) draw(now)
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
