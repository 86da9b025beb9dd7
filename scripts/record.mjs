/**
 * Records a real upload on a terminal and draws what stood on it, at the moments it did, as an animated SVG. It needs a
 * Linux with `script` (util-linux) and `qemu-img`:
 *
 *     node scripts/record.mjs [FILE]        # default docs/upload.svg
 */
import { execFileSync, fork, spawn } from "node:child_process"
import { once } from "node:events"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { pathToFileURL } from "node:url"
import { setTimeout as sleep } from "node:timers/promises"
import { brought, root } from "./bring.mjs"
import { prepare } from "./prepare.mjs"

const [columns, rows] = [100, 14]
const command = "./headrace upload disk.qcow2 --to 'glance://prod/disk?store=fast'"
const demo = path.join(root, "apps", "demo", "dist")

/** How long the last frame stays, and what is too short to be seen: one drawing that came in two reads. */
const [restMs, flashMs] = [3500, 15]

/* oxlint-disable no-control-regex -- a terminal's sequences begin with one */
/** A terminal, as far as a shell and the progress display use one. What it does not know is an error, never ignored. */
class Screen {
  lines = Array.from({ length: rows }, () => [])
  row = 0
  column = 0
  /** The beginning of a sequence whose end has not been read yet. */
  rest = ""

  write(text) {
    const [whole, rest] = /^([^]*?)(\x1b(?:\[[?\d]*)?)?$/.exec(this.rest + text).slice(1)
    this.rest = rest ?? ""
    for (const [token] of whole.matchAll(/\x1b\[[?\d]*[A-Za-z]|[^]/gu)) this.#put(token)
  }

  #put(token) {
    const [, count, letter] = /^\x1b\[(\d*)([AJK])$/.exec(token) ?? []
    if (token === "\r") this.column = 0
    else if (token === "\n") this.#down()
    else if (letter === "A") this.row = Math.max(0, this.row - Number(count || 1))
    else if (letter !== undefined && count === "") {
      this.lines[this.row].length = Math.min(this.lines[this.row].length, this.column)
      if (letter === "J") for (const line of this.lines.slice(this.row + 1)) line.length = 0
    } else if (/^\P{Cc}$/u.test(token)) {
      if (this.column === columns) {
        this.column = 0
        this.#down()
      }
      const line = this.lines[this.row]
      while (line.length < this.column) line.push(" ")
      line[this.column++] = token
    } else if (!/^\x1b\[\?\d+[hl]$/.test(token)) throw new Error(`unknown here: ${JSON.stringify(token)}`)
    // a mode that a shell switches on or off shows nothing
  }

  #down() {
    if (this.row < rows - 1) this.row += 1
    else this.lines = [...this.lines.slice(1), []]
  }

  shown() {
    return this.lines.map((line) => line.join("").trimEnd())
  }
}

/** Makes a folder with what the command names: a disk image, a `clouds.yaml` with the cloud `prod`, the launcher. */
const furnish = async (folder, url) => {
  const { make } = await import(pathToFileURL(path.join(demo, "disk.js")).href)
  await make(path.join(folder, "disk.raw"), 1024 ** 3)
  // -S 0: with its holes written out, so that the file is as large as the disk
  execFileSync("qemu-img", ["convert", "-S", "0", "-O", "qcow2", "disk.raw", "disk.qcow2"], { cwd: folder })
  fs.rmSync(path.join(folder, "disk.raw"))
  const clouds = `clouds:\n  prod:\n    auth_type: none\n    auth:\n      endpoint: ${url}\n`
  fs.writeFileSync(path.join(folder, "clouds.yaml"), clouds)
  fs.symlinkSync(path.join(root, "headrace"), path.join(folder, "headrace"))
}

/** Types the command into a shell on a terminal, and returns what stood there, from when to when, in milliseconds. */
const record = async (folder) => {
  const shell = `stty cols ${columns} rows ${rows}; exec sh -i`
  const terminal = spawn("script", ["-qefc", shell, "/dev/null"], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, PS1: "$ ", TERM: "xterm", LC_ALL: "C.UTF-8" },
    stdio: ["pipe", "pipe", "inherit"]
  })
  const screen = new Screen()
  const frames = []
  let [start, changed] = [undefined, Promise.withResolvers()]
  terminal.stdout.setEncoding("utf8").on("data", (text) => {
    screen.write(text)
    start ??= performance.now()
    frames.push({ at: Math.round(performance.now() - start), lines: screen.shown() })
    changed.resolve()
    changed = Promise.withResolvers()
  })
  const ended = once(terminal, "exit").then(([code]) => {
    throw new Error(`the terminal ended with ${code}: ${screen.shown().join("\n")}`)
  })
  // it is waited for below, and must not end this program in between
  ended.catch(() => {})
  const until = async (condition) => {
    while (!condition(screen.shown())) await Promise.race([changed.promise, ended])
  }
  const waiting = (lines) => lines.findLast((line) => line !== "") === "$"
  await until(waiting)
  await sleep(400)
  for (const key of command) {
    terminal.stdin.write(key)
    await sleep(key === " " ? 60 : 20)
  }
  await sleep(250)
  terminal.stdin.write("\n")
  await until(waiting)
  terminal.stdin.end("\u0004")
  const seen = frames.filter(({ at }, index) => index + 1 === frames.length || frames[index + 1].at - at > flashMs)
  return { frames: seen, total: seen.at(-1).at + restMs }
}

const [cell, edge] = [{ width: 8.4, height: 19, size: 14 }, 16]
const number = (value) => String(Math.round(value * 100) / 100)
const escape = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign])

/** A line of the screen. Each piece is as wide as its cells, whatever the font; the bar's blocks are drawn, not set. */
const drawLine = (line, row) => {
  const top = edge + row * cell.height
  return [...line.matchAll(/█+|░+|[^\s█░]+(?: [^\s█░]+)*/gu)]
    .map(({ 0: piece, index }) => {
      const x = number(edge + index * cell.width)
      const width = number(piece.length * cell.width)
      const bar = { "█": "f", "░": "e" }[piece[0]]
      return bar === undefined
        ? `<text x="${x}" y="${top + cell.size}" textLength="${width}">${escape(piece)}</text>`
        : `<path class="${bar}" d="M${x} ${top + 2}h${width}v${cell.height - 4}h-${width}z"/>`
    })
    .join("")
}

/** Each line once for each stretch of time in which it stands; without animation the last frame is shown. */
const draw = ({ frames, total }) => {
  const percent = (at) => `${number((at * 100) / total)}%`
  const stretches = []
  for (let row = 0; row < rows; row++) {
    let open
    for (const { at, lines } of [...frames, { at: total, lines: [] }]) {
      if (open?.line === lines[row]) continue
      if (open !== undefined && open.line !== "") stretches.push({ ...open, row, to: at })
      open = { line: lines[row], from: at }
    }
  }
  const names = new Map()
  const shapes = stretches.map(({ from, line, row, to }) => {
    const key = `${from} ${to}`
    names.set(key, names.get(key) ?? { name: `a${names.size}`, from, to })
    const hidden = to < total ? ' class="o"' : ""
    return `<g${hidden} style="animation-name:${names.get(key).name}">${drawLine(line, row)}</g>`
  })
  const keyframes = [...names.values()].map(({ from, name, to }) => {
    const edges = [from > 0 && [0, "hidden"], [from, "visible"], to < total && [to, "hidden"]].filter(Boolean)
    return `@keyframes ${name}{${edges.map(([at, is]) => `${percent(at)}{visibility:${is}}`).join("")}}`
  })
  const width = columns * cell.width + 2 * edge
  const height = (Math.max(...stretches.map(({ row }) => row)) + 1) * cell.height + 2 * edge
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escape(command)}: the progress, then the proof</title>
<style>
svg{--ink:#1f2328;--paper:#f6f8fa;--line:#d1d9e0;--bar:#0969da}
@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--paper:#0d1117;--line:#3d444d;--bar:#58a6ff}}
rect{fill:var(--paper);stroke:var(--line)}
text{fill:var(--ink);font:${cell.size}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.f{fill:var(--bar)}.e{fill:var(--bar);opacity:.22}.o{visibility:hidden}
g{animation:${number(total / 1000)}s step-end infinite}
${keyframes.join("\n")}
@media(prefers-reduced-motion:reduce){g{animation:none!important}}
</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
${shapes.join("\n")}
</svg>
`
}

await prepare("apps/demo")
await prepare("packages/headrace")
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "headrace-record-"))
const service = fork(path.join(demo, "service.js"), { execPath: brought.node })
try {
  const [{ url }] = await once(service, "message")
  await furnish(folder, url)
  const recording = await record(folder)
  if (!recording.frames.at(-1).lines.includes("verified glance://prod/disk?store=fast"))
    throw new Error("the upload was not proven")
  const picture = draw(recording)
  if (picture.includes(folder) || picture.includes(root)) throw new Error("the picture shows where it was made")
  fs.writeFileSync(process.argv[2] ?? path.join(root, "docs", "upload.svg"), picture)
} finally {
  service.disconnect()
  fs.rmSync(folder, { recursive: true })
}
