/**
 * A lock among processes, a file. Its holder touches it every two seconds, so one that was killed loses it soon.
 */
import fs from "node:fs"
import path from "node:path"

const beat = 2000
const dead = 15_000

/** One line on stderr; stdout belongs to the program that is started in the end. */
export const say = (text) => {
  process.stderr.write(`headrace: ${text}\n`)
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Linking a file that is whole already takes the lock and names the holder in one step. */
const take = (file) => {
  const own = `${file}.${process.pid}`
  fs.writeFileSync(own, String(process.pid))
  try {
    fs.linkSync(own, file)
    return true
  } catch (error) {
    if (error.code === "EEXIST") return false
    throw error
  } finally {
    fs.rmSync(own, { force: true })
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code !== "ESRCH"
  }
}

const isStale = (file) => {
  const age = Date.now() - fs.statSync(file).mtimeMs
  // a pid says something only on the machine that gave it, and a checkout may be shared: one missed beat more
  return age > dead || (age > 2 * beat && !isAlive(Number(fs.readFileSync(file, "utf8"))))
}

const removeStale = async (file) => {
  // of two that find the lock stale only one may remove it, or the second removes the first one's fresh lock
  const guard = `${file}.stale`
  try {
    fs.mkdirSync(guard)
  } catch {
    if (Date.now() - fs.statSync(guard).mtimeMs > dead) fs.rmdirSync(guard)
    return
  }
  try {
    if (isStale(file)) fs.rmSync(file)
  } finally {
    fs.rmdirSync(guard)
  }
}

/** Runs `work` while no other process holds the lock. */
export const withLock = async (file, work) => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  for (let waited = false; !take(file); waited = true) {
    if (!waited) say("waiting for another process that prepares this checkout")
    await removeStale(file).catch((error) => {
      // the holder has just finished
      if (error.code !== "ENOENT") throw error
    })
    await sleep(100)
  }
  const heart = setInterval(() => fs.utimesSync(file, new Date(), new Date()), beat)
  try {
    return await work()
  } finally {
    clearInterval(heart)
    fs.rmSync(file, { force: true })
  }
}
