/**
 * What is in an account under an object's name now, asked without writing anything.
 *
 * @since 0.1.0
 */
import type { Digests } from "@headrace/core/Digest"
import type { Host } from "@headrace/core/Host"
import type { StoreError } from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Effect from "effect/Effect"
import * as Api from "./internal/api.ts"
import * as Names from "./internal/names.ts"
import * as Objects from "./internal/objects.ts"
import * as SwiftAccess from "./SwiftAccess.ts"

/**
 * The segments of a large object, held against its manifest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Segments {
  readonly count: number
  /** `CONTAINER/OBJECT` of those that are not there, or are not what the manifest says. */
  readonly wrong: ReadonlyArray<string>
}

/**
 * An object as its service describes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly size: number | undefined
  /** None of a large object, whose ETag is no digest of its bytes. */
  readonly digests: Digests
  readonly kind: "plain" | "slo" | "dlo"
  /** Of a static large object. */
  readonly segments?: Segments | undefined
}

interface Entry {
  readonly name: string
  /** None of what is a manifest itself. */
  readonly hash: string | undefined
  readonly manifest: boolean
}

const entriesOf = (text: string): ReadonlyArray<Entry> => {
  const json = Api.parse(text)
  if (!Array.isArray(json)) return []
  return json.flatMap((one: unknown): ReadonlyArray<Entry> => {
    const { hash, name, sub_slo } = (one ?? {}) as Readonly<Record<string, unknown>>
    return typeof name === "string"
      ? [
          {
            name: name.replace(/^\//, ""),
            hash: typeof hash === "string" && sub_slo !== true ? hash.toLowerCase() : undefined,
            manifest: sub_slo === true
          }
        ]
      : []
  })
}

/** What all names have in common, up to its last slash. */
const folderOf = (names: ReadonlyArray<string>): string => {
  const [first = "", ...rest] = names
  let length = first.length
  for (const name of rest) while (!name.startsWith(first.slice(0, length))) length--
  return first.slice(0, first.lastIndexOf("/", length) + 1)
}

/** Swift follows manifests within manifests so deep. */
const deepest = 10

/** Holds what the containers list against the manifest, and against those that it names. */
const segmentsOf = (api: Api.Api, container: string, object: string, depth = 0): Effect.Effect<Segments, Fault.Fault> =>
  Effect.gen(function* () {
    const entries = entriesOf(yield* Objects.manifest(api, container, object))
    const containers = Map.groupBy(entries, ({ name }) => name.slice(0, name.indexOf("/")))
    const wrong: Array<string> = []
    let count = 0
    for (const [where, ours] of containers) {
      const nameIn = ({ name }: Entry) => name.slice(where.length + 1)
      const listed = new Map(
        (yield* Objects.list(api, where, folderOf(ours.map(nameIn)))).map((one) => [one.name, one])
      )
      for (const entry of ours) {
        const there = listed.get(nameIn(entry))
        const same = there !== undefined && (entry.hash === undefined || there.hash === entry.hash)
        if (!same) wrong.push(entry.name)
        if (!same || !entry.manifest || depth >= deepest) {
          count++
          continue
        }
        const within = yield* segmentsOf(api, where, nameIn(entry), depth + 1)
        count += within.count
        wrong.push(...within.wrong)
      }
    }
    return { count, wrong }
  })

/**
 * Looks at an object, and at the segments of a large one where that is asked for; `undefined` when there is none.
 *
 * @since 0.1.0
 * @category running
 */
export const look = (
  options: SwiftAccess.Place & {
    readonly container: string
    readonly object: string
    /** Whether the segments of a large object are looked at, too: two requests and more (false). */
    readonly segments?: boolean | undefined
  }
): Effect.Effect<Seen | undefined, StoreError, Transport | Host> => {
  const { container, object, segments = false } = options
  const looked = Effect.gen(function* () {
    const unreachable = Names.unreachable(object)
    if (unreachable !== undefined) return yield* Fault.make("InvalidUri", unreachable)
    const transport = yield* Transport
    const api = Api.make(yield* Effect.mapError(SwiftAccess.of(options), Fault.fromKeystone), transport)
    const found = yield* Objects.look(api, container, object)
    if (found === undefined) return undefined
    const { kind, size } = found
    return {
      size,
      digests: Objects.digestsOf(found),
      kind,
      ...(segments && kind === "slo" ? { segments: yield* segmentsOf(api, container, object) } : undefined)
    }
  })
  const uri = `swift://${SwiftAccess.nameOf(options)}${Names.pathOf(container, object)}`
  return Effect.mapError(looked, (fault) => Fault.toStoreError(fault, uri))
}
