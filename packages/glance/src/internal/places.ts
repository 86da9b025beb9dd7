/**
 * The stores that an image is to be in: the one that the bytes are sent to, and those that the service copies it to.
 */
import * as Effect from "effect/Effect"
import type { ImageOptions } from "../GlanceStore.ts"
import * as Fault from "@headrace/keystone/ServiceFault"

/** What an image is to be, with its stores told apart. */
export interface Wanted extends Omit<ImageOptions, "store"> {
  /** Where the bytes are sent; `undefined`: wherever the service puts them. */
  readonly store: string | undefined
  /** Where the service copies the image. */
  readonly copyTo: ReadonlyArray<string>
}

const listOf = (store: ImageOptions["store"]): ReadonlyArray<string> =>
  store === undefined ? [] : typeof store === "string" ? [store] : store

export const wanted = (options: ImageOptions): Wanted => {
  const [store, ...copyTo] = listOf(options.store)
  return { ...options, store, copyTo: [...new Set(copyTo)] }
}

/** Fails where the stores are none that could be meant. */
export const check = (options: ImageOptions): Effect.Effect<void, Fault.Fault> => {
  const stores = listOf(options.store)
  const twice = stores.find((store, index) => stores.indexOf(store) < index)
  if (twice !== undefined) return Fault.make("InvalidConfig", `the store "${twice}" is named twice`)
  if (stores.includes("")) return Fault.make("InvalidConfig", "the name of a store is empty")
  return options.store !== undefined && stores.length === 0
    ? Fault.make("InvalidConfig", "the list of stores is empty; leave it out for the service's default store")
    : Effect.void
}

/** The URI of an image with the one store that an entry of the receipt is about. */
export const uriAt = (uri: string, store: string): string => {
  const mark = uri.indexOf("?")
  const path = mark < 0 ? uri : uri.slice(0, mark)
  const pairs = mark < 0 ? [] : uri.slice(mark + 1).split("&")
  const others = pairs.filter((pair) => pair !== "" && !pair.startsWith("store="))
  return `${path}?${[`store=${encodeURIComponent(store)}`, ...others].join("&")}`
}
