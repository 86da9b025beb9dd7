/**
 * The command `headrace` from a checkout: builds what is missing, then runs the built command in this very process.
 */
import path from "node:path"
import { pathToFileURL } from "node:url"
import { become } from "./become.mjs"
import { bring, isNewEnough, root } from "./bring.mjs"
import { fail } from "./child.mjs"
import { isBuilt, prepare } from "./prepare.mjs"

const project = "packages/headrace"
const command = path.join(root, project, "dist", "command", "headrace.js")

const start = async () => {
  if (isNewEnough()) {
    process.argv[1] = command
    await import(pathToFileURL(command).href)
  } else {
    const { node } = await bring()
    become(node, [command, ...process.argv.slice(2)])
  }
}

const isReady = isBuilt(project) || (await prepare(project).then(() => true, fail))
if (isReady) await start()
