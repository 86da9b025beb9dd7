/**
 * A session of one image, opened against an embedded service and closed after the test.
 */
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import type { Content, WholeSession } from "@headrace/core/Store"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import type { Place } from "@headrace/glance/GlanceAccess"
import * as NodeHost from "@headrace/node/NodeHost"
import * as NodeTransport from "@headrace/node/NodeTransport"
import { type EmbeddedGlance, type Options, start } from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"

export const layer = Layer.mergeAll(
  NodeTransport.layer,
  NodeHost.layer,
  BlockPool.layer({ bytes: 4 * 1024 * 1024, blockBytes: 64 * 1024 })
)

export const embedded = (options?: Options) =>
  Effect.acquireRelease(
    Effect.promise(() => start(options)),
    (glance) => Effect.promise(() => glance.close())
  )

export const contentOf = (bytes: Uint8Array, more?: Partial<Content>): Content => ({
  size: bytes.byteLength,
  head: bytes.slice(0, 64 * 1024),
  ...more
})

export const place = (glance: EmbeddedGlance, token?: string): Place => ({
  endpoint: glance.url,
  ...(token === undefined ? undefined : { token: Redacted.make(token) })
})

export const store = (
  glance: EmbeddedGlance,
  { token, ...options }: GlanceStore.ImageOptions & { readonly token?: string }
) => GlanceStore.image({ ...place(glance, token), ...options })

/** Writes bytes as one body. */
export const write = (
  session: WholeSession,
  bytes: Uint8Array,
  more?: { readonly length?: "unknown"; readonly stallMs?: number }
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pool = yield* BlockPool.BlockPool
      const share = yield* pool.share(4)
      let sent = 0
      yield* session.write({
        stream: Stream.provideService(Blocks.fromBytes(Stream.succeed(bytes)), BlockPool.BlockShare, share),
        length: more?.length === "unknown" ? undefined : bytes.byteLength,
        onSent: (count) => {
          sent += count
        },
        stallMs: more?.stallMs ?? 5000,
        answerMs: 5000
      })
      return sent
    })
  )

export const readAll = <E, R>(stream: Stream.Stream<Uint8Array, E, R>) =>
  Effect.map(Stream.runCollect(stream), (chunks) => Buffer.concat(chunks))
