/**
 * What the journal's thread is asked, and what it answers.
 */
import type { JournalLoading } from "./journalLoading.ts"
import type { JournalStore } from "./journalStore.ts"
import type { Given, Refusal } from "./journalTables.ts"

/** How the file is opened. */
export interface Boot {
  readonly path: string
  readonly how: "write" | "read"
  /** Who it is, for whoever finds the journal taken. */
  readonly owner: string
}

/** By name, with the arguments that the thread takes. */
export interface Calls {
  readonly open: () => number
  readonly counts: JournalStore["counts"]
  readonly next: JournalStore["next"]
  readonly take: JournalStore["take"]
  readonly make: JournalStore["make"]
  readonly unmake: JournalStore["unmake"]
  readonly madeOf: JournalStore["madeOf"]
  readonly end: JournalStore["end"]
  readonly release: JournalStore["release"]
  readonly strays: JournalStore["strays"]
  readonly reopenFailed: JournalStore["reopenFailed"]
  readonly reopen: JournalStore["reopen"]
  readonly tookBack: JournalStore["tookBack"]
  readonly copied: JournalStore["copied"]
  readonly ofImage: JournalStore["ofImage"]
  readonly receipts: JournalStore["receipts"]
  readonly knows: JournalStore["knows"]
  readonly has: JournalStore["has"]
  readonly receiptOf: JournalStore["receiptOf"]
  readonly verdictOf: JournalStore["verdictOf"]
  readonly stands: JournalStore["stands"]
  readonly isLoaded: JournalLoading["isLoaded"]
  readonly loadBegin: JournalLoading["loadBegin"]
  readonly load: (lines: ReadonlyArray<Given>, replan: boolean) => ReturnType<JournalLoading["load"]>
  readonly loadEnd: JournalLoading["loadEnd"]
  readonly hold: JournalStore["hold"]
  readonly close: () => void
}

export type Name = keyof Calls

/** Those that write: they share a transaction, and are durable when they are answered. */
export const writes: ReadonlySet<Name> = new Set<Name>([
  "next",
  "take",
  "make",
  "unmake",
  "end",
  "release",
  "reopenFailed",
  "reopen",
  "copied"
])

export interface Call {
  readonly id: number
  readonly name: Name
  readonly args: ReadonlyArray<unknown>
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly reason: Refusal["reason"]; readonly message: string }

/** What comes back at once: the answers, and how many transactions have been made durable by now. */
export interface Answers {
  readonly answers: ReadonlyArray<Answer>
  readonly commits: number
}
