/**
 * Who writes the notes of an upload: it is in the file's name, so that whoever goes on with them takes them over by
 * renaming the file, which only one can.
 */
import { createHash, randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { hostname } from "node:os"

/** Notes of a process on another machine, or in another container, are left alone for so long after the last one. */
const awayMs = 30 * 60 * 1000

/** Names the machine as long as it runs: the numbers of its processes mean nothing elsewhere, or after a start. */
const machine = (): string => {
  let boot = ""
  try {
    boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8")
  } catch {
    // Not Linux.
  }
  return createHash("sha256").update(`${hostname()}\n${boot}`).digest("hex").slice(0, 12)
}

/**
 * What the kernel says of a process: its state, and when it was started, in ticks, as another one may get its number.
 * Nothing where that cannot be known.
 */
const statOf = (pid: number): { readonly state: string; readonly start: string } | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The second field is a name in parentheses that may hold anything (proc_pid_stat(5)); the start is the 22nd.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return { state: fields[0] ?? "", start: fields[19] ?? "0" }
  } catch {
    return undefined
  }
}

/** Ended, and not waited for by its parent: in a container the first process may never do that. */
const isEnded = (state: string): boolean => /^[ZXx]/.test(state)

/** A name for notes that this process writes. */
export const mine = (): string => `${machine()}-${process.pid}-${statOf(process.pid)?.start ?? "0"}-${randomUUID()}`

/** A name for notes that nobody writes. */
export const nobody = (): string => `free-${randomUUID()}`

/** Whether the owner may still write. */
export const lives = (owner: string, lastWriteMs: number): boolean => {
  const [where, pid, start] = owner.split("-")
  if (where === "free") return false
  if (where !== machine()) return Date.now() - lastWriteMs < awayMs
  try {
    process.kill(Number(pid), 0)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ESRCH") return false
  }
  const now = statOf(Number(pid))
  if (now === undefined) return true
  return !isEnded(now.state) && (start === "0" || now.start === start)
}
