/**
 * What a session is told of its object: where it goes, how, and what was there before.
 */
import type { PutObjectCommandInput } from "@aws-sdk/client-s3"
import type { Content, SessionBase } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Profile } from "../Profile.ts"
import * as Download from "./download.ts"
import * as Fault from "./fault.ts"
import * as Look from "./look.ts"
import type { Ours } from "./ours.ts"
import type { Site } from "./site.ts"

export interface Setting {
  readonly site: Site
  readonly uri: string
  readonly profile: Profile
  /** Whether the profile was given, or seen by what the service is. */
  readonly known: "configured" | "profile"
  readonly content: Content
  readonly before: Look.Look
  readonly partBytes: number
  readonly ifNoneMatch: boolean
  /** Of the object. */
  readonly metadata: Pick<PutObjectCommandInput, "ContentType" | "StorageClass">
}

export const there = "there is an object already, which is not replaced"

/** Whether what must not be replaced is known to be there. */
export const replaces = ({ before, ifNoneMatch }: Setting): boolean => ifNoneMatch && before._tag === "Found"

/**
 * Looks whether something is there now, in front of the request that makes the object: not every service that takes
 * `If-None-Match` obeys it.
 */
export const free = ({ ifNoneMatch, profile, site }: Setting): Effect.Effect<void, Fault.Fault> =>
  !ifNoneMatch || profile.conditionalCreate === true
    ? Effect.void
    : Effect.flatMap(Look.at(site), (now) =>
        now._tag === "Found" ? Effect.fail(Fault.make("Conflict", there)) : Effect.void
      )

/** The store's errors of an effect, beside those of the body's stream. */
export const toStore =
  (uri: string) =>
  <E>(error: Fault.Fault | E): StoreError.StoreError | E =>
    error instanceof Fault.Fault ? Fault.toStoreError(error, uri) : error

export const asStore =
  (uri: string) =>
  <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri))

/** What is the same for objects of parts and of one PUT. */
export const common = (
  { site, uri }: Setting,
  ours: Ours
): Pick<SessionBase, "checkPlace" | "owned" | "location" | "seal" | "read" | "notes"> => ({
  checkPlace: () => Effect.void,
  owned: Effect.succeed(true),
  location: Effect.succeed(uri),
  seal: Effect.void,
  read: Stream.suspend(() =>
    Stream.mapError(
      Download.stream(site, {
        what: "the object cannot be read back",
        offset: 0,
        size: ours.claim?.size,
        etag: ours.made?.etag
      }),
      (fault) => Fault.toStoreError(fault, uri)
    )
  ),
  // How it is proven is not told of what is not.
  notes: Effect.sync(() => [...ours.notes].filter((note) => !(ours.mute && note.startsWith("proof: "))))
})

export const other = Fault.make("Conflict", "another writer's object is there now")
