/** A journal that outlives the transfers that write it, and can be made to fail. */
import * as Effect from "effect/Effect"
import {
  type Entry,
  type Key,
  type Noted,
  UploadJournalError,
  type UploadJournalService
} from "@headrace/core/UploadJournal"

export interface JournalInMemory {
  readonly service: UploadJournalService
  readonly notes: Array<Key & { noted: Noted }>
  /** What is to fail from now on. */
  broken: ReadonlyArray<keyof Entry | "open">
}

export const make = (): JournalInMemory => {
  const notes: Array<Key & { noted: Noted }> = []
  const journal: JournalInMemory = {
    notes,
    broken: [],
    service: {
      open: (key, { fresh }) =>
        Effect.suspend(() => {
          const same = notes.findIndex(
            (note) =>
              note.source === key.source &&
              note.destination === key.destination &&
              note.identity === key.identity &&
              note.size === key.size
          )
          const earlier = fresh || same < 0 ? undefined : notes.splice(same, 1)[0]!.noted
          const mine: Key & { noted: Noted } = { ...key, noted: undefined as never }
          const step = (name: keyof Entry | "open", change: () => void) =>
            Effect.suspend(() => {
              if (journal.broken.includes(name)) return Effect.fail(new UploadJournalError({ message: `no ${name}` }))
              change()
              return Effect.void
            })
          const entry: Entry = {
            earlier,
            begun: ({ earlier: from, token }) =>
              step("begun", () => {
                if (!notes.includes(mine)) notes.push(mine)
                mine.noted = from ?? { token, startedAt: 0, partBytes: undefined, parts: [], state: undefined }
              }),
            cut: (partBytes) =>
              step("cut", () => {
                mine.noted = { ...mine.noted, partBytes, parts: [], state: undefined }
              }),
            taken: (part, state) =>
              step("taken", () => {
                mine.noted = { ...mine.noted, parts: [...mine.noted.parts, part], state: state ?? mine.noted.state }
              }),
            done: step("done", () => {
              if (notes.includes(mine)) notes.splice(notes.indexOf(mine), 1)
            })
          }
          return Effect.as(
            step("open", () => {}),
            entry
          )
        }),
      list: Effect.sync(() =>
        notes.map((note) =>
          Object.assign({}, note, note.noted, {
            running: false,
            forget: Effect.sync(() => void notes.splice(notes.indexOf(note), 1))
          })
        )
      )
    }
  }
  return journal
}
