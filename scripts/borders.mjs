/**
 * Checks who imports whom: packages only what lies below them, core no platform, nobody an import that its own manifest does
 * not declare, nobody the barrel `effect` (it doubles the start-up time), and no module itself in a circle.
 *
 *     node scripts/borders.mjs [FOLDER]
 */
import fs from "node:fs"
import { builtinModules } from "node:module"
import path from "node:path"
import { fileURLToPath } from "node:url"

const root = path.resolve(process.argv[2] ?? path.dirname(path.dirname(fileURLToPath(import.meta.url))))
const packages = path.join(root, "packages")
const examples = path.join(root, "examples")

/** What of ours a package may import; `headrace` stands above all. */
const below = {
  core: [],
  keystone: ["core"],
  glance: ["core", "keystone"],
  swift: ["core", "keystone"],
  http: ["core"],
  s3: ["core"],
  node: ["core"],
  fs: ["core"],
  testkit: ["core"],
  batch: ["core", "keystone", "glance", "s3", "swift", "fs", "http", "node"],
  headrace: ["core", "keystone", "glance", "s3", "swift", "fs", "http", "node", "batch"],
  // The examples show what anybody's adapter imports.
  "store-tus": ["core"]
}

const problems = []

const files = (folder) =>
  fs.existsSync(folder)
    ? fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
        const file = path.join(folder, entry.name)
        if (entry.isDirectory()) return files(file)
        return /\.[cm]?[jt]s$/.test(entry.name) ? [file] : []
      })
    : []

const withoutComments = (text) =>
  text
    .replace(/^\s*\/\*[\s\S]*?\*\//gm, (comment) => comment.replace(/[^\n]/g, ""))
    .replace(/^\s*\/\/.*$/gm, "")
    .replace(/\s\/\/ .*$/gm, "")

const patterns = [
  /^import\s+(type\s+)?[\w$*\s{},]*?from\s+"([^"]+)"/gm,
  /^export\s+(type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s+"([^"]+)"/gm,
  /^import\s+()"([^"]+)"/gm,
  /\bimport\(\s*()"([^"]+)"\s*\)/g
]

const importsOf = (code) =>
  patterns.flatMap((pattern) =>
    [...code.matchAll(pattern)].map(([whole, type, specifier]) => ({
      specifier,
      // `import("x").T` stands for a type where no `await` is before it, but nobody here needs the difference
      isType: Boolean(type),
      whole
    }))
  )

const packageOf = (specifier) =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")

const isBuiltin = (specifier) => specifier.startsWith("node:") || builtinModules.includes(packageOf(specifier))

const checkImport = (name, where, declared, { specifier, isType }) => {
  if (isBuiltin(specifier)) {
    if (name === "core") problems.push(`${where}: core imports ${specifier}; it has no platform`)
    return
  }
  if (specifier === "effect") problems.push(`${where}: imports the barrel "effect"; import "effect/Module"`)
  if (!declared.has(packageOf(specifier)))
    problems.push(`${where}: imports ${specifier}, which package.json does not declare`)
  const [scope, ours] = specifier.split("/")
  const isOurs = scope === "@headrace" ? ours : scope === "headrace" ? "headrace" : undefined
  if (isOurs === undefined || isOurs === name || (name === "testkit" && isType)) return
  if (!(below[name] ?? []).includes(isOurs))
    problems.push(`${where}: ${name} imports ${specifier}, which is not below it`)
}

const graph = new Map()

const checkSource = (name, file, declared) => {
  const where = path.relative(root, file)
  const code = withoutComments(fs.readFileSync(file, "utf8"))
  const next = []
  for (const found of importsOf(code)) {
    if (!found.specifier.startsWith(".")) checkImport(name, where, declared, found)
    else if (!found.isType) next.push(path.resolve(path.dirname(file), found.specifier))
  }
  graph.set(file, next)
  const platform = /(?<![\w$.])(?:Buffer\b|process(?=\s*[.[]))/.exec(code)
  if (name === "core" && platform !== null) problems.push(`${where}: core uses ${platform[0]}; it has no platform`)
}

const checkTest = (file) => {
  const code = withoutComments(fs.readFileSync(file, "utf8"))
  if (importsOf(code).some(({ specifier }) => specifier === "effect")) {
    problems.push(`${path.relative(root, file)}: imports the barrel "effect"; import "effect/Module"`)
  }
}

/** Every circle once: a module that is met again while it is still open. */
const checkCircles = () => {
  const done = new Set()
  const visit = (file, open) => {
    const at = open.indexOf(file)
    if (at >= 0) {
      const circle = [...open.slice(at), file].map((one) => path.relative(packages, one))
      problems.push(`circle: ${circle.join(" -> ")}`)
      return
    }
    if (done.has(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...open, file])
    done.add(file)
  }
  for (const file of graph.keys()) visit(file, [])
}

const foldersIn = (group) => (fs.existsSync(group) ? fs.readdirSync(group).map((name) => path.join(group, name)) : [])

for (const folder of [...foldersIn(packages), ...foldersIn(examples)]) {
  const name = path.basename(folder)
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"))
  const declared = new Set([
    manifest.name,
    ...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies })
  ])
  if (!(name in below))
    problems.push(`${path.relative(root, folder)}: scripts/borders.mjs does not say what it may import`)
  for (const file of files(path.join(folder, "src"))) checkSource(name, file, declared)
  for (const file of files(path.join(folder, "test"))) checkTest(file)
}
checkCircles()

for (const problem of problems) console.error(problem)
console.log(`borders: ${graph.size} modules, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
