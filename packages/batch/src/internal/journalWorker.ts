/**
 * The thread that writes the journal: SQLite is synchronous, and a transaction that is made durable takes milliseconds,
 * which the thread that moves bytes does not have. All writes that have come in while one transaction was made durable
 * share the next one.
 */
import { closeSync, existsSync, openSync, realpathSync, statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads"
import { type Answer, type Answers, type Boot, type Call, writes } from "./journalCalls.ts"
import { JournalDatabase } from "./journalDatabase.ts"
import { JournalLoading } from "./journalLoading.ts"
import { JournalStore } from "./journalStore.ts"
import { Refusal } from "./journalTables.ts"

const port: MessagePort = parentPort!
const boot = workerData as Boot

let db: DatabaseSync | undefined
let lock: DatabaseSync | undefined
/** What is done with it, once it is open. */
let journal:
  | { readonly base: JournalDatabase; readonly store: JournalStore; readonly loading: JournalLoading }
  | undefined
let commits = 0
/** A manifest is being taken over: one transaction over many calls. */
let loading = false

/** SQLite's primary result codes, https://www.sqlite.org/rescode.html */
const full = 13
const ioError = 10
const busy = 5
const readOnly = 8
const notDatabase = 26
const cannotOpen = 14

const refusalOf = (error: unknown): Refusal => {
  if (error instanceof Refusal) return error
  const { errcode, message } = error as Error & { readonly errcode?: number }
  switch ((errcode ?? 0) & 0xff) {
    case full:
      return new Refusal("Full", "there is no room on its disk")
    case notDatabase:
      return new Refusal("Foreign", "this is no journal of a batch")
    case readOnly:
      return new Refusal("Unusable", "it cannot be written: the file or its folder is read-only")
    case cannotOpen:
      return new Refusal("Unusable", "it cannot be opened: check that its folder is there and may be written")
    case busy:
      return new Refusal("Locked", "another program has it locked")
    case ioError:
      return new Refusal(journal === undefined ? "Unusable" : "Full", `its disk fails: ${message}`)
    default:
      return new Refusal("Unusable", `it cannot be used: ${message}`)
  }
}

const ownerOf = (path: string): string => {
  try {
    const reader = new DatabaseSync(path, { readOnly: true })
    try {
      const row = reader.prepare("SELECT value FROM meta WHERE key = 'owner'").get()
      return typeof row?.["value"] === "string" ? ` (${row["value"]})` : ""
    } finally {
      reader.close()
    }
  } catch {
    return ""
  }
}

/**
 * Holds the journal for as long as the process lives: the kernel gives a lock of SQLite back when the process ends,
 * however it ends. It is on a file of its own, which stays, so that the journal can be read meanwhile.
 */
const hold = (path: string): void => {
  lock = new DatabaseSync(`${path}-lock`)
  try {
    lock.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE")
  } catch (error) {
    const refusal = refusalOf(error)
    throw refusal.reason === "Locked"
      ? new Refusal("Locked", `another run that lives writes it${ownerOf(path)}`)
      : refusal
  }
}

/**
 * Nothing is put beside a file that is somebody else's. What cannot be said by a reader alone, after a crash for instance,
 * the writer finds out.
 */
const check = (path: string): void => {
  const told: ReadonlySet<Refusal["reason"]> = new Set(["Foreign", "Newer"])
  try {
    const reader = new DatabaseSync(path, { readOnly: true })
    try {
      new JournalDatabase(reader).prepare("new")
    } finally {
      reader.close()
    }
  } catch (error) {
    const refusal = refusalOf(error)
    if (told.has(refusal.reason)) throw refusal
  }
}

const open = (): number => {
  const { how, owner } = boot
  // A lock is found by the name that the file has, whatever link led here.
  const path = existsSync(boot.path) ? realpathSync(boot.path) : boot.path
  if (existsSync(path) && statSync(path).isDirectory()) throw new Refusal("Unusable", "this is a folder: name a file")
  if (how === "write") {
    if (existsSync(path)) check(path)
    hold(path)
  }
  // The lines may hold signed URLs and passwords: they are the owner's.
  if (how === "write" && !existsSync(path)) closeSync(openSync(path, "a", 0o600))
  db = new DatabaseSync(path, { readOnly: how === "read" })
  db.exec("PRAGMA busy_timeout = 10000")
  const base = new JournalDatabase(db)
  if (how === "write") {
    // Before anything is written into what may be somebody else's.
    base.prepare("write")
    db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    db.exec("BEGIN IMMEDIATE")
    const epoch = base.claim()
    base.setOwner(owner)
    db.exec("COMMIT")
    journal = { base, store: new JournalStore(base), loading: new JournalLoading(base) }
    return epoch
  }
  base.prepare("read")
  journal = { base, store: new JournalStore(base), loading: new JournalLoading(base) }
  return 0
}

const close = (): void => {
  if (loading) journal?.loading.loadEnd("forget", undefined)
  loading = false
  db?.close()
  lock?.close()
  db = undefined
  lock = undefined
}

const run = ({ args, name }: Call): unknown => {
  if (name === "open") return open()
  if (name === "close") return close()
  if (journal === undefined) throw new Refusal("Unusable", "it is closed")
  const owner = (name in journal.loading ? journal.loading : journal.store) as unknown as Readonly<
    Record<string, (...args: ReadonlyArray<unknown>) => unknown>
  >
  if (name === "loadEnd") {
    loading = args[0] === "try"
    commits++
  }
  const value = owner[name]!(...args)
  if (name === "loadBegin" || name === "hold") loading = true
  return value
}

const attempt = (call: Call): Answer => {
  try {
    const value = run(call)
    journal?.store.committed()
    return { id: call.id, value }
  } catch (error) {
    journal?.store.rolledBack()
    const { message, reason } = refusalOf(error)
    return { id: call.id, reason, message }
  }
}

/** All of them in one transaction, or none of them. */
const together = (calls: ReadonlyArray<Call>): ReadonlyArray<Answer> => {
  try {
    db!.exec("BEGIN IMMEDIATE")
    journal!.base.fence()
    const answers = calls.map((call) => ({ id: call.id, value: run(call) }))
    db!.exec("COMMIT")
    journal!.store.committed()
    commits++
    return answers
  } catch (error) {
    journal?.store.rolledBack()
    try {
      if (db?.isTransaction === true) db.exec("ROLLBACK")
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
    const { message, reason } = refusalOf(error)
    return calls.map(({ id }) => ({ id, reason, message }))
  }
}

const serve = (first: ReadonlyArray<Call>): void => {
  const calls = [...first]
  for (let more = receiveMessageOnPort(port); more !== undefined; more = receiveMessageOnPort(port)) {
    calls.push(...(more.message as ReadonlyArray<Call>))
  }
  const answers: Array<Answer> = []
  for (let at = 0; at < calls.length;) {
    let end = at
    while (!loading && journal !== undefined && end < calls.length && writes.has(calls[end]!.name)) end++
    if (end > at) answers.push(...together(calls.slice(at, end)))
    else answers.push(attempt(calls[end++]!))
    at = end
  }
  const message: Answers = { answers, commits }
  port.postMessage(message)
}

port.on("message", serve)
