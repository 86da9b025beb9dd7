/**
 * The place of one object: what was there before is remembered, so that it is never taken for ours, and never deleted.
 * Swift gives each write a time of its own (`X-Timestamp`), so what was written since is known from what was not.
 */
import type { Inspection, StoredObject } from "@headrace/core/Store"
import * as Effect from "effect/Effect"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import type { Limits } from "./limits.ts"
import * as Names from "./names.ts"
import * as Objects from "./objects.ts"

export interface Target {
  readonly api: Api
  readonly limits: Limits
  readonly uri: string
  readonly container: string
  readonly object: string
  readonly segmentContainer: string
  readonly contentType: string
  /** What was there before. */
  readonly before: Objects.Found | undefined
  /** The container's storage policy, `""` where none is told; `undefined` when there is no container. */
  readonly policy: string | undefined
}

/** How often a service that has taken an object is looked at, until it shows it. */
const looks = 4
const lookEveryMs = 250

/** What is there now. `earlier`: what an earlier attempt of ours has put there. */
type Standing = "nothing" | "before" | "earlier" | "ours" | "other"

export interface Place {
  /** A write has begun that may make something. `undo` takes that back, when it clearly did not. */
  readonly attempt: () => { readonly undo: () => void }
  readonly attempted: () => boolean
  /** The write was taken, and has this ETag. It is ours from then on, whatever it is. */
  readonly taken: (etag: string) => void
  readonly isTaken: () => boolean
  /** It was sent whole, and nobody has answered. */
  readonly unanswered: { value: boolean }
  /** Looks, and says whose it is that is there. */
  readonly standing: Effect.Effect<"ours" | "other" | "nothing new", Fault.Fault>
  /** What the engine is told. */
  readonly inspect: Effect.Effect<Inspection, Fault.Fault>
  /** Deletes the object or the manifest, if it is ours and nothing was there before; false when something stays. */
  readonly remove: Effect.Effect<boolean, Fault.Fault>
  /** Another attempt follows. */
  readonly again: () => void
  /** Makes a container unless it is there; notes it when it was made. */
  readonly ensure: (container: string, policy: string | undefined) => Effect.Effect<void, Fault.Fault>
  readonly notes: Set<string>
}

/**
 * `matches` says whether what was written since is what was sent, where nobody has said that it was taken; `replaces`,
 * whether what was there before loses its place.
 */
export const make = (
  target: Target,
  matches: (found: Objects.Found) => boolean,
  replaces: () => boolean = () => true,
  /** Whether an object is the one that our segments, each compared by its MD5, give. */
  isComposed: (found: Objects.Found) => boolean = () => false
): Place => {
  const { api, before, container, object, uri } = target
  const notes = new Set<string>()
  const unanswered = { value: false }
  let attempted = false
  let taken: string | undefined
  /** ETags of all that was taken. */
  const mine = new Set<string>()

  const look = Objects.look(api, container, object)
  const isNew = (found: Objects.Found) => found.timestamp !== before?.timestamp

  const judge = (found: Objects.Found | undefined): Standing => {
    if (found === undefined) return "nothing"
    if (!isNew(found)) return "before"
    if (found.etag === taken) return "ours"
    if (mine.has(found.etag)) return "earlier"
    return attempted && taken === undefined && matches(found) ? "ours" : "other"
  }

  const stored = (found: Objects.Found): Inspection => {
    const stored: StoredObject = {
      id: `${container}/${object}`,
      size: found.size,
      digests: Objects.digestsOf(found),
      ...(isComposed(found) ? { composite: "md5" } : undefined)
    }
    return { _tag: "Stored", object: stored }
  }

  const inspect: Place["inspect"] = Effect.gen(function* () {
    if (!attempted) return { _tag: "Ready" }
    for (let looked = 1; ; looked++) {
      const found = yield* look
      const standing = judge(found)
      if (found !== undefined && standing === "ours") return stored(found)
      if (taken === undefined) return { _tag: "Ready" }
      if (standing === "other") return yield* Fault.make("Conflict", "another writer's bytes are there now")
      // One server of several may have missed the write, and be the one that is asked.
      if (looked < looks) yield* Effect.sleep(lookEveryMs)
      else if (standing === "nothing") return { _tag: "Absent" }
      else return { _tag: "Busy", what: "the service has taken the object, and shows what was there before" }
    }
  })

  return {
    attempt: () => {
      const was = attempted
      attempted = true
      taken = undefined
      return {
        undo: () => {
          attempted = was
        }
      }
    },
    attempted: () => attempted,
    taken: (etag) => {
      taken = etag
      unanswered.value = false
      mine.add(etag)
      if (before === undefined || before.kind === "plain" || !replaces()) return
      notes.add(`a large object was there before (${uri}): its segments are not deleted`)
    },
    isTaken: () => taken !== undefined,
    unanswered,
    standing: Effect.map(look, (found) => {
      const standing = judge(found)
      if (standing === "other") return "other"
      return standing === "ours" || standing === "earlier" ? "ours" : "nothing new"
    }),
    inspect,
    remove: Effect.gen(function* () {
      if (before !== undefined) return false
      const standing = judge(yield* look)
      if (standing !== "ours" && standing !== "earlier") return false
      yield* Objects.remove(api, container, object)
      mine.clear()
      attempted = unanswered.value = false
      taken = undefined
      return true
    }),
    again: () => {
      taken = undefined
      attempted = mine.size > 0
      unanswered.value = false
    },
    ensure: (name, policy) =>
      Effect.gen(function* () {
        const found = policy ?? (yield* Objects.policyOf(api, name))
        if (found !== undefined) return
        yield* Objects.makeContainer(api, name, name === container ? "" : (target.policy ?? ""))
        notes.add(`there was no container "${name}": it was made`)
      }),
    notes
  }
}

export const pathOf = ({ container, object }: Target): string => Names.pathOf(container, object)
