/**
 * Where the object of a claim is to be looked for. Copies of an image have the same target.
 */
import type * as S3Look from "@headrace/s3/S3Look"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { isAbsolute, resolve } from "node:path"
import * as AwsEnvironment from "../awsEnvironment.ts"
import * as Ends from "../../Ends.ts"
import * as Uri from "../../Uri.ts"
import type { Claim } from "./claim.ts"

/** `service`: what is asked, and fails, as one. `key`: what is looked at, within the service. */
interface Common {
  readonly service: string
  readonly key: string
}

export interface GlanceTarget extends Common {
  readonly _tag: "Glance"
  readonly cloud: string
}

export interface S3Target extends Common {
  readonly _tag: "S3"
  readonly place: S3Look.Options
}

export interface SwiftTarget extends Common {
  readonly _tag: "Swift"
  readonly cloud: string
  readonly container: string
}

export interface FileTarget extends Common {
  readonly _tag: "File"
}

export interface HttpTarget extends Common {
  readonly _tag: "Http"
}

export type Target = GlanceTarget | S3Target | SwiftTarget | FileTarget | HttpTarget

const wrong = (uri: string, message: string) => new Ends.EndError({ reason: "InvalidUri", uri, message })

const from = <A>(result: Result.Result<A, { readonly message: string }>, uri: string) =>
  Effect.mapError(Effect.fromResult(result), ({ message }) => wrong(uri, message))

/** Finds it. A file is where the receipt says that it was put, wherever that run had its paths begin. */
export const of = ({ object, uri }: Claim, { cwd, env }: Ends.Surroundings): Effect.Effect<Target, Ends.EndError> =>
  Effect.gen(function* () {
    const shown = Uri.shown(uri)
    const parsed = yield* from(
      Result.try({ try: () => Uri.parseDestination(uri), catch: (error) => error as Uri.UriError }),
      shown
    )
    switch (parsed._tag) {
      case "Glance": {
        const { destinationFrom } = yield* Effect.promise(() => import("@headrace/glance/GlanceUri"))
        const { cloud } = yield* from(destinationFrom(uri), shown)
        if (object === undefined) return yield* wrong(shown, "the receipt does not say which image it is")
        return { _tag: "Glance", service: `glance:${cloud}`, key: object, cloud }
      }
      case "S3": {
        const { destinationFrom } = yield* Effect.promise(() => import("@headrace/s3/S3Uri"))
        const { bucket, endpoint, key, profile, region } = yield* from(destinationFrom(uri), shown)
        const place = AwsEnvironment.into(
          {
            bucket,
            key,
            ...(endpoint === undefined ? undefined : { endpoint }),
            ...(profile === undefined ? undefined : { profile }),
            ...(region === undefined ? undefined : { region })
          },
          env
        )
        return { _tag: "S3", service: `s3:${JSON.stringify([bucket, endpoint, profile, region])}`, key, place }
      }
      case "Swift": {
        const { destinationFrom } = yield* Effect.promise(() => import("@headrace/swift/SwiftUri"))
        const { cloud, container, object: name } = yield* from(destinationFrom(uri), shown)
        return { _tag: "Swift", service: `swift:${JSON.stringify([cloud, container])}`, key: name, cloud, container }
      }
      case "File": {
        const path = object !== undefined && isAbsolute(object) ? object : resolve(cwd ?? "", parsed.path)
        return { _tag: "File", service: "file:", key: path }
      }
      case "Http":
        return { _tag: "Http", service: `http:${new URL(parsed.url).host}`, key: parsed.url }
    }
  })
