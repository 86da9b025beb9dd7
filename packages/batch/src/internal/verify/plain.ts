/**
 * Files and URLs, each by itself.
 */
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Asking from "./asking.ts"
import type { Asked } from "./found.ts"
import type { FileTarget, HttpTarget } from "./target.ts"

export const files = (asking: Asking.Asking, all: ReadonlyArray<Asked<FileTarget>>) =>
  Effect.flatMap(
    Effect.promise(() => import("@headrace/fs/FileLook")),
    ({ look }) =>
      Asking.each(asking, all, ({ target: { key } }) =>
        Asking.look(
          asking,
          look(key),
          ({ isFile, size }) => ({
            size,
            digests: {},
            ...(isFile ? undefined : { wrong: "it is no file" }),
            mute: "a file system has no digests; --sample reads files back"
          }),
          true
        )
      )
  )

export const urls = (asking: Asking.Asking, all: ReadonlyArray<Asked<HttpTarget>>) =>
  Effect.flatMap(
    Effect.promise(() => import("@headrace/http/HttpLook")),
    ({ look }) =>
      Asking.each<HttpTarget, Transport>(asking, all, ({ target: { key } }) =>
        Asking.look(asking, look({ url: key }), ({ digests, size }) => ({
          size,
          digests,
          mute: "the server tells no digest that the receipt has"
        }))
      )
  )
