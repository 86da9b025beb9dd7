/**
 * What would move from a cloud to other places, as the lines of a manifest that a run takes. Images are listed, nothing
 * of theirs is read, and nothing is made.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Result from "effect/Result"
import type { Host } from "@headrace/core/Host"
import type { SourceError } from "@headrace/core/SourceError"
import * as StoreError from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import * as GlanceImages from "@headrace/glance/GlanceImages"
import * as GlanceUri from "@headrace/glance/GlanceUri"
import { EndError } from "./Ends.ts"
import type * as Filter from "./Filter.ts"
import * as Catalogue from "./internal/plan/catalogue.ts"
import * as Compose from "./internal/plan/compose.ts"
import * as Existing from "./internal/plan/existing.ts"
import * as Judge from "./internal/plan/judge.ts"
import * as Target from "./internal/plan/target.ts"
import type * as Line from "./Line.ts"
import * as Mapping from "./Mapping.ts"
import * as Uri from "./Uri.ts"

/**
 * A plan that cannot be made on this machine.
 *
 * @since 0.1.0
 * @category errors
 */
export class PlanError extends Data.TaggedError("PlanError")<{ readonly message: string }> {}

/**
 * What is to be planned.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** `glance://CLOUD` for all images that the project can see, or `glance://CLOUD/IMAGE` for one. */
  readonly from: string
  /** `glance://CLOUD?…`, `s3://BUCKET/PREFIX/`, `swift://CLOUD/CONTAINER/PREFIX/`, `FOLDER/`: one at least. */
  readonly to: ReadonlyArray<string>
  /** Destinations on best effort. */
  readonly also?: ReadonlyArray<string> | undefined
  /** All must hold. */
  readonly filters?: ReadonlyArray<Filter.Filter> | undefined
  readonly rules?: Mapping.Rules | undefined
  /**
   * Images that a cloud of `to` or `also` has already are not sent there: those of the same content (`hash`, the
   * default), or of the same content and name. Digests and sizes of the two services prove it.
   */
  readonly skipExisting?: "hash" | "name" | "none" | undefined
}

/**
 * Why an image is left out. Of `refused` and `required` somebody has to do something.
 *
 * @since 0.1.0
 * @category models
 */
export type SkipKind = "inactive" | "deactivated" | "empty" | "existing" | "refused" | "required"

/**
 * What is said of an image.
 *
 * @since 0.1.0
 * @category models
 */
export interface About {
  readonly id: string
  readonly name: string | undefined
}

/**
 * A part of a plan, in its order.
 *
 * @since 0.1.0
 * @category models
 */
export type Entry =
  | {
      readonly _tag: "Line"
      readonly image: GlanceImages.Description
      readonly line: Line.Line
      /** The line as a manifest has it. */
      readonly text: string
      /** About how many requests it takes: see `requestsOf`. */
      readonly requests: number
    }
  | { readonly _tag: "Skipped"; readonly image: About; readonly kind: SkipKind; readonly why: string }
  /** Something to know of the image whose line comes next. */
  | { readonly _tag: "Note"; readonly image: About; readonly why: string }
  /** The last entry: how many images were looked at, and how many of them the filters left out. */
  | { readonly _tag: "End"; readonly listed: number; readonly filtered: number }

const wrongFrom = (uri: string, message: string, reason: EndError["reason"] = "InvalidUri") =>
  new EndError({ reason, uri: Uri.shown(uri), message })

interface Origin {
  readonly cloud: string
  /** One image; all of them without. */
  readonly image: GlanceUri.Origin["image"] | undefined
}

const origin = (from: string): Effect.Effect<Origin, EndError> => {
  if (!/^glance:\/\//i.test(from)) {
    const message = "a plan is made of the images of a cloud: glance://CLOUD, or glance://CLOUD/IMAGE for one"
    return Effect.fail(wrongFrom(from, message, "Unsupported"))
  }
  const all = /^(glance:\/\/[^/?#]*)\/?$/i.exec(from)
  const read = GlanceUri.sourceFrom(all === null ? from : `${all[1]}/any`)
  if (Result.isFailure(read)) {
    const { message, uri } = read.failure
    return Effect.fail(wrongFrom(all === null ? uri : from, message))
  }
  const { cloud, image } = read.success
  return Effect.succeed({ cloud, image: all === null ? image : undefined })
}

const targets = (options: Options) =>
  Effect.gen(function* () {
    const { also = [], to } = options
    if (to.length === 0) return yield* wrongFrom("to", "there is no destination that must succeed")
    const ends: Array<Compose.End> = []
    for (const [place, text] of [...to, ...also].entries()) {
      const target = yield* Target.parse(text)
      if (ends.some((end) => end.target.text === target.text)) {
        return yield* wrongFrom(text, "this destination is given twice")
      }
      ends.push({ target, place, required: place < to.length })
    }
    return ends
  })

const atDestination = ({ message, reason, retryable, status, uri }: SourceError): StoreError.StoreError =>
  StoreError.make(reason._tag, { uri, message, retryable, ...(status === undefined ? undefined : { status }) })

type Disk = Catalogue.CatalogueError

const asked = (catalogue: Catalogue.Catalogue, ends: ReadonlyArray<Compose.End>, existing: boolean) =>
  Effect.forEach(
    ends.filter(({ target }) => target.glance !== undefined),
    (end) =>
      Effect.gen(function* () {
        const cloud = { cloud: end.target.glance!.cloud }
        const wants = yield* GlanceImages.requiredProperties(cloud)
        if (existing) {
          const all = Stream.mapError(GlanceImages.list(cloud, { status: ["active"] }), atDestination)
          yield* Stream.runForEach(all, (image) => catalogue.addThere(end.place, image))
        }
        return { ...end, wants } satisfies Judge.Cloud
      })
  )

/**
 * About how many requests an image takes: four at its cloud (its record before, at and after the reading, and its data),
 * three at each cloud that it goes to (it is made, filled and looked at) and one more where it is made protected or
 * hidden; of another store one for each 8 MiB begun, and two.
 *
 * @since 0.1.0
 * @category getters
 */
export const requestsOf = ({ also, size = 0, to }: Line.Line): number => {
  const parts = 2 + Math.max(1, Math.ceil(size / (8 * 1024 * 1024)))
  const at = [...to, ...also].map((uri) =>
    /^glance:/i.test(uri)
      ? /[?&](?:protected|hidden)=true(?:&|$)/.test(uri)
        ? 4
        : 3
      : /^(?:s3|swift):/i.test(uri)
        ? parts
        : 0
  )
  return at.reduce((sum, count) => sum + count, 4)
}

/** The entries of one image, in the order of a manifest. */
const entriesOf = (
  catalogue: Catalogue.Catalogue,
  { image, skip }: Catalogue.Row,
  clouds: ReadonlyArray<Judge.Cloud>,
  ends: ReadonlyArray<Compose.End>,
  cloud: string,
  { rules = Mapping.none, skipExisting = "hash" }: Options
): Effect.Effect<ReadonlyArray<Entry>, Disk> =>
  Effect.gen(function* () {
    const about: About = { id: image.id, name: image.name }
    const skipped = ({ kind, why }: Catalogue.Skip): ReadonlyArray<Entry> => [
      { _tag: "Skipped", image: about, kind: kind as SkipKind, why }
    ]
    if (skip !== undefined) return skipped(skip)
    const notes: Array<string> = []
    const left: Array<Compose.End> = []
    for (const end of ends) {
      const there = clouds.find(({ place }) => place === end.place)
      if (there === undefined || skipExisting === "none") {
        left.push(end)
      } else {
        const { found, namesakes } = yield* Existing.look(catalogue, end.place, image, skipExisting)
        if (found === undefined) left.push(end)
        else notes.push(`it is at ${end.target.uri} already, as image ${found.id}, and not sent there again`)
        if (namesakes.length > 0) {
          const ids = namesakes.slice(0, 3).map(({ id }) => id)
          const more = namesakes.length > 3 ? " and more" : ""
          notes.push(`${end.target.uri} has the name already with other content: image ${ids.join(", ")}${more}`)
        }
      }
      if (there === undefined) continue
      const mapped = Mapping.image(image, rules)
      notes.push(...Judge.fixed(there, mapped))
      const keys = end.required ? [] : Judge.missing(there, mapped)
      if (keys.length > 0) notes.push(Judge.lacks(there, keys))
    }
    const made = yield* Compose.compose(catalogue, cloud, image, rules, left)
    if ("kind" in made) return skipped(made)
    return [
      ...[...notes, ...made.notes].map((why): Entry => ({ _tag: "Note", image: about, why })),
      { _tag: "Line", image, line: made.line, text: made.text, requests: requestsOf(made.line) }
    ]
  })

/**
 * The plan, entry by entry. All images are listed before the first entry comes, so that names are known to be unique
 * and images come after those that they refer to; until then they are kept on disk, not in memory.
 *
 * @since 0.1.0
 * @category running
 */
export const entries = (
  options: Options
): Stream.Stream<Entry, EndError | PlanError | SourceError | StoreError.StoreError, Transport | Host> => {
  const planned = Effect.gen(function* () {
    const { cloud, image } = yield* origin(options.from)
    const ends = yield* targets(options)
    const catalogue = yield* Catalogue.open
    // One image is looked for first: where it is not, nothing else needs to be asked.
    const single = image === undefined ? undefined : yield* GlanceImages.describe({ cloud, image, uri: options.from })
    const clouds = yield* asked(catalogue, ends, (options.skipExisting ?? "hash") !== "none")
    const all = single === undefined ? GlanceImages.list({ cloud }) : Stream.succeed(single)
    let listed = 0
    let filtered = 0
    yield* Stream.runForEach(all, (image) =>
      Effect.gen(function* () {
        listed++
        if (!(yield* Judge.judge(catalogue, image, clouds, ends, options))) filtered++
      })
    )
    yield* catalogue.sort
    const rows = Stream.paginate(undefined as Catalogue.Cursor | undefined, (after) =>
      Effect.map(catalogue.page(after), (rows) => [rows, Option.fromUndefinedOr(rows.at(-1)?.cursor)] as const)
    )
    const end: Entry = { _tag: "End", listed, filtered }
    return rows.pipe(
      Stream.mapEffect((row) => entriesOf(catalogue, row, clouds, ends, cloud, options)),
      Stream.flatMap(Stream.fromIterable),
      Stream.concat(Stream.succeed(end))
    )
  })
  return Stream.unwrap(planned).pipe(
    Stream.mapError((error) => (error._tag === "CatalogueError" ? new PlanError({ message: error.message }) : error))
  )
}
