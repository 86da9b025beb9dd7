/**
 * Brings Node and pnpm of the right versions into `.tools/`, from npm, where the machine has none that will do. It runs on
 * Node 18, needs npm only, and prints to stderr only. `.tools/bin/` then holds `node` and `pnpm`.
 *
 *     node scripts/bring.mjs
 */
import fs from "node:fs"
import path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { fail, runChild } from "./child.mjs"
import { say, withLock } from "./lock.mjs"

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
export const tools = path.join(root, ".tools")

const oldestNode = [22, 19]
const nodeVersion = "24.21.0"
const pnpmVersion = "12.21.0"

/** Does a Node of this version do? */
export const isNewEnough = (version = process.versions.node) => {
  const [major, minor] = version.split(".").map(Number)
  return major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])
}

/** The Node to run everything with, and pnpm; `node` is a link that stays where it is. */
export const brought = {
  bin: path.join(tools, "bin"),
  node: path.join(tools, "bin", "node"),
  pnpm: path.join(tools, `pnpm-${pnpmVersion}`, "node_modules", "pnpm", "bin", "pnpm.mjs")
}

// the package `node` would link this one's binary in an install script, which npm may refuse to run
const nodePackage = () => {
  const family = process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node"
  return `${family}-${process.platform}-${process.arch}`
}

const run = (command, args) =>
  runChild(path.basename(command), command, args, { stdio: ["ignore", "ignore", "inherit"] })

const npm = (args) => {
  const own = process.env.npm_execpath
  if (own !== undefined && path.basename(own) === "npm-cli.js") return run(process.execPath, [own, ...args])
  const beside = path.join(path.dirname(process.execPath), "npm")
  return run(fs.existsSync(beside) ? beside : "npm", args)
}

/** Installs one package into `.tools/NAME`, whole or not at all. */
const installTool = async (name, spec) => {
  const target = path.join(tools, name)
  if (fs.existsSync(target)) return
  say(`bringing ${spec} from npm into .tools/`)
  const fresh = fs.mkdtempSync(path.join(tools, ".bringing-"))
  try {
    fs.writeFileSync(path.join(fresh, "package.json"), '{ "private": true }\n')
    const quiet = ["--loglevel=error", "--no-audit", "--no-fund", "--no-update-notifier"]
    await npm(["install", "--prefix", fresh, "--no-save", "--no-package-lock", "--ignore-scripts", ...quiet, spec])
    // made for nobody else to read, but a checkout may be for several users
    fs.chmodSync(fresh, 0o777 & ~process.umask())
    fs.renameSync(fresh, target)
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true })
  }
}

/** Puts a link where an earlier one may be, in one step. */
const link = (target, at) => {
  const fresh = `${at}.${process.pid}`
  fs.rmSync(fresh, { force: true })
  fs.symlinkSync(target, fresh)
  fs.renameSync(fresh, at)
}

const bringNode = async () => {
  if (isNewEnough()) return fs.realpathSync(process.execPath)
  const name = `node-${nodeVersion}`
  await installTool(name, `${nodePackage()}@${nodeVersion}`)
  return path.join(tools, name, "node_modules", nodePackage(), "bin", "node")
}

const isBrought = () => {
  if (!fs.existsSync(brought.node) || !fs.existsSync(brought.pnpm)) return false
  // the link may name this very Node, and that may have been exchanged for an older one
  return isNewEnough() || fs.realpathSync(brought.node) !== fs.realpathSync(process.execPath)
}

const removeLeftovers = () => {
  for (const name of fs.readdirSync(tools)) {
    if (name.startsWith(".bringing-")) fs.rmSync(path.join(tools, name), { recursive: true, force: true })
  }
}

/** Brings what is missing; safe for several processes at once. */
export const bring = async () => {
  if (isBrought()) return brought
  fs.mkdirSync(brought.bin, { recursive: true })
  await withLock(path.join(tools, "bring.lock"), async () => {
    removeLeftovers()
    await installTool(`pnpm-${pnpmVersion}`, `pnpm@${pnpmVersion}`)
    const node = await bringNode()
    await run(node, ["-e", "0"]).catch(() => {
      throw new Error(`${node} does not run on this machine; install Node ${oldestNode.join(".")} or newer`)
    })
    const pnpm = path.join(brought.bin, "pnpm")
    fs.writeFileSync(`${pnpm}.new`, `#!/bin/sh\nexec "${node}" "${brought.pnpm}" "$@"\n`, { mode: 0o755 })
    fs.renameSync(`${pnpm}.new`, pnpm)
    link(node, brought.node)
  })
  return brought
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  bring().catch(fail)
}
