/**
 * Images, by their ids: some tens of them with one request. Those that are not in a list are looked for among the hidden
 * ones, and then each by itself, as an image of another project can be seen by who knows its id, and is in no list.
 */
import type { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import type { Description } from "@headrace/glance/GlanceImages"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Asking from "./asking.ts"
import { type Answer, type Asked, type Found, type How, ofFailure } from "./found.ts"
import type { GlanceTarget } from "./target.ts"

/** Ids that a request line has room for where it is shortest: 4 KiB, with a token's header beside it. */
const idsAtOnce = 50

/** So few are asked for by themselves. */
const few = 2

type Image = Asked<GlanceTarget>

const load = Effect.promise(() => import("@headrace/glance/GlanceImages"))

const told = ({ digests, size, status, stores }: Description) => ({ size, digests, status, stores })

const there = (image: Description, how: How): Found => ({ _tag: "There", how, ...told(image) })

export const each = (asking: Asking.Asking, images: ReadonlyArray<Image>) =>
  Effect.flatMap(load, ({ describe }) =>
    Asking.each(asking, images, ({ target: { cloud, key } }) =>
      Asking.look(asking, describe({ cloud, image: { id: key } }), told, true)
    )
  )

const list = (asking: Asking.Asking, images: ReadonlyArray<Image>, hidden: false | "only") =>
  Effect.gen(function* () {
    const { list } = yield* load
    const cloud = images[0]!.target.cloud
    const id = images.map(({ target }) => target.key)
    // A page that is full is followed by another one, which would be empty.
    const query = { id, hidden, pageSize: idsAtOnce + 1 }
    const found = yield* Asking.turn(asking, Stream.runCollect(list({ cloud }, query)), true)
    return new Map(found.map((image) => [image.id, image]))
  })

/** Takes out of `images` what `found` has. */
const sort = (images: ReadonlyArray<Image>, found: ReadonlyMap<string, Description>) => {
  const answers: Array<Answer<GlanceTarget>> = []
  const rest: Array<Image> = []
  for (const asked of images) {
    const image = found.get(asked.target.key.toLowerCase()) ?? found.get(asked.target.key)
    if (image === undefined) rest.push(asked)
    else answers.push({ asked, found: there(image, "list") })
  }
  return { answers, rest }
}

const atOnce = (
  asking: Asking.Asking,
  images: ReadonlyArray<Image>
): Effect.Effect<ReadonlyArray<Answer<GlanceTarget>>, never, Transport | Host> =>
  Effect.gen(function* () {
    const answers: Array<Answer<GlanceTarget>> = []
    let rest = images
    for (const hidden of [false, "only"] as const) {
      if (rest.length <= few) break
      const found = yield* Effect.result(list(asking, rest, hidden))
      if (Result.isFailure(found)) {
        const { message, reason } = found.failure
        const failed = ofFailure(found.failure, "list")
        // What a list refuses may be told of each. Where there is none, there is no image service, and nothing is missing.
        if (failed._tag === "Unasked" && !failed.away) break
        const lost: Found = { _tag: "Unasked", how: "list", why: message, away: reason._tag !== "NotFound" }
        return [...answers, ...rest.map((asked) => ({ asked, found: lost }))]
      }
      const sorted = sort(rest, found.success)
      answers.push(...sorted.answers)
      rest = sorted.rest
    }
    return [...answers, ...(yield* each(asking, rest))]
  })

export const many = (
  asking: Asking.Asking,
  images: ReadonlyArray<Image>
): Stream.Stream<Answer<GlanceTarget>, never, Transport | Host> =>
  Stream.fromIterable(Arr.chunksOf(images, idsAtOnce)).pipe(
    Stream.mapEffect((some) => atOnce(asking, some), { concurrency: asking.concurrency, unordered: true }),
    Stream.flattenIterable
  )
