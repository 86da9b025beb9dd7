/**
 * Copies that a service makes of an object by itself, at further places of its own: the bytes are sent once. The engine
 * asks for them when the object is proven, watches them, and gives each a verdict of its own; an object whose copy failed
 * stands.
 *
 * A store that can do it names the places in `Store.copies`, and its sessions have `copying`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Plan, StoredObject } from "./Store.ts"
import type { StoreError } from "./StoreError.ts"

/**
 * A further place that the object is to be at.
 *
 * @since 0.1.0
 * @category models
 */
export interface Copy<out R = never> {
  /** As users would type it were it the only one, without secrets. */
  readonly uri: string
  /** The place's name within the service; no two are the same. */
  readonly place: string
  /** Whether the service would make it, as far as it can be known before; makes nothing. */
  readonly plan: Effect.Effect<Plan, StoreError, R | Scope.Scope>
}

/**
 * How it stands with the copy at one place.
 *
 * - `Copied`: the service says that the object is there, complete.
 * - `Missing`: it is not, and the service says no more.
 * - `Failed`: the service says that it has tried and failed; only worth believing when it was asked.
 *
 * @since 0.1.0
 * @category models
 */
export type CopyState =
  | { readonly _tag: "Copied" }
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Failed"; readonly error: StoreError }

/**
 * What a look at an object and its copies found.
 *
 * @since 0.1.0
 * @category models
 */
export interface CopyLook {
  /** The object that is copied; `undefined` when it is no more. */
  readonly object: StoredObject | undefined
  /**
   * What the service is doing to the object, for a person, such as a copy that somebody asked for; `undefined` when it
   * can be asked for copies. What is missing meanwhile may still come, and what is there may be taken back.
   */
  readonly busy: string | undefined
  /** Everything that changes while a copy goes on: two looks that differ here show that the service is at work. */
  readonly mark: string
  /** By place, of those that were asked about. */
  readonly places: ReadonlyMap<string, CopyState>
}

/**
 * What a session can do about copies of its object. Only used once the object is proven.
 *
 * @since 0.1.0
 * @category models
 */
export interface Copying {
  /**
   * Asks the service for copies at these places. Succeeds when it has said that it will make them; after an unclear end
   * the engine looks before it asks again. `Conflict` that is retryable: the service is at work for somebody else.
   */
  readonly request: (places: ReadonlyArray<string>) => Effect.Effect<void, StoreError>
  /** Looks at the object and at its copies. */
  readonly look: (places: ReadonlyArray<string>) => Effect.Effect<CopyLook, StoreError>
  /**
   * Whether the object stands although `checkPlace` fails for it: a service that brings it to all places in one go may
   * fail for the first alone. It is kept then, and each place has the verdict that is true of it. Absent: it never does.
   */
  readonly elsewhere?: (object: StoredObject) => boolean
  /** What should be known of a copy that was asked to be read back (`verify: "destination"`) and cannot be. */
  readonly unreadable: string
}
