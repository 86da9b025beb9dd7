/**
 * What a session is told of the content's digests: claims before the body, computed ones at its end.
 */
import { createHash, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import type { Digests } from "@headrace/core/Digest"
import * as Source from "@headrace/core/Source"
import type { Content, Store } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import * as Script from "./support/ScriptedStore.ts"

const bytes = randomBytes(300_000)
const digest = (name: string) => createHash(name).update(bytes).digest("hex")

/** Runs an upload, and gives what its session was told. */
const told = (source: Source.Source, options: Partial<Transfer.Options> = {}) =>
  Effect.gen(function* () {
    const script = Script.make({})
    const seen: { content?: Content; early?: Digests | undefined; late?: Digests | undefined } = {}
    const store: Store = {
      ...script.store,
      open: (content) =>
        Effect.map(script.store.open(content), (session) => {
          seen.content = content
          return {
            ...session,
            write: (body) => {
              const { finalDigests } = body
              if (finalDigests === undefined) return Effect.die(new Error("a whole body has digests at its end"))
              const stream = body.stream.pipe(
                Stream.tap(() =>
                  Effect.map(finalDigests, (digests) => {
                    if (!("early" in seen)) seen.early = digests
                  })
                )
              )
              return Effect.andThen(
                session.write({ ...body, stream }),
                Effect.map(finalDigests, (digests) => {
                  seen.late = digests
                })
              )
            }
          }
        })
    }
    const exit = yield* Effect.exit(Transfer.run({ source, to: [store], retries: 0, ...options }))
    return { ...seen, succeeded: Exit.isSuccess(exit) }
  }).pipe(
    Effect.provideServiceEffect(
      BlockPool,
      Effect.sync(() => makeUnsafe({ bytes: 1024 * 1024, blockBytes: 64 * 1024 }))
    )
  )

describe("the digests of the content", () => {
  it.live("are claimed by nobody unless somebody knows them, and known at the end", () =>
    Effect.gen(function* () {
      const { content, early, late, succeeded } = yield* told(Source.fromBytes(bytes))
      assert.isTrue(succeeded)
      assert.isUndefined(content!.digests)
      assert.isUndefined(early)
      assert.deepStrictEqual(late, { md5: digest("md5"), sha512: digest("sha512") })
    })
  )

  it.live("are those that the transfer expects, before those that the source's service reports", () =>
    Effect.gen(function* () {
      const source: Source.Source = {
        ...Source.fromBytes(bytes),
        hints: Effect.succeed({ digests: { md5: digest("md5"), sha256: "0".repeat(64), sm3: "ab" } })
      }
      const { content, late, succeeded } = yield* told(source, {
        expect: { sha256: digest("sha256").toUpperCase(), sha1: digest("sha1") }
      })
      assert.deepStrictEqual(content!.digests, { md5: digest("md5"), sha256: digest("sha256"), sha1: digest("sha1") })
      // The service's SHA-256 is another, so the body must never have been complete.
      assert.isFalse(succeeded)
      assert.isUndefined(late)
    })
  )
})
