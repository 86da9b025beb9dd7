/**
 * A journal in memory, and a process that is killed at one of its writes: what is noted by then stays, and nothing more
 * is ever done.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Entry, Key, Noted, UploadJournalService } from "@headrace/core/UploadJournal"

/** What outlives a process. */
export type Notes = Array<Key & { noted: Noted }>

export interface Journal {
  readonly service: UploadJournalService
  /** Ends when the process is killed. */
  readonly killed: Effect.Effect<void>
}

const isSame = (a: Key, b: Key): boolean =>
  a.source === b.source && a.destination === b.destination && a.identity === b.identity && a.size === b.size

export const make = (notes: Notes, kill?: { readonly write: number; readonly moment: "before" | "after" }): Journal => {
  const dead = Deferred.makeUnsafe<void>()
  let writes = 0
  let isDead = false

  const step = (change: () => void): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isDead) return Effect.never
      writes++
      if (writes !== kill?.write) return Effect.sync(change)
      if (kill.moment === "after") change()
      isDead = true
      return Effect.andThen(Deferred.succeed(dead, undefined), Effect.never)
    })

  return {
    killed: Deferred.await(dead),
    service: {
      open: (key, { fresh }) =>
        Effect.sync((): Entry => {
          const index = notes.findIndex((note) => isSame(note, key))
          const earlier = fresh || index < 0 ? undefined : notes[index]!.noted
          const note = (change: (noted: Noted | undefined) => Noted) =>
            step(() => {
              const at = notes.findIndex((other) => isSame(other, key))
              if (at < 0) notes.push({ ...key, noted: change(undefined) })
              else notes[at] = { ...key, noted: change(notes[at]!.noted) }
            })
          return {
            earlier,
            begun: ({ earlier: from, token }) =>
              note(() => from ?? { token, startedAt: Date.now(), partBytes: undefined, parts: [], state: undefined }),
            cut: (partBytes) => note((noted) => ({ ...noted!, partBytes, parts: [], state: undefined })),
            taken: (part, state) =>
              note((noted) => ({ ...noted!, parts: [...noted!.parts, part], state: state ?? noted!.state })),
            // Whoever tidies up after a kill would wait for it.
            done: Effect.suspend(() =>
              isDead
                ? Effect.void
                : step(() => {
                    const at = notes.findIndex((other) => isSame(other, key))
                    if (at >= 0) notes.splice(at, 1)
                  })
            )
          }
        }),
      list: Effect.sync(() =>
        notes.map((note) => Object.assign({ running: false, forget: Effect.void }, note, note.noted))
      )
    }
  }
}
