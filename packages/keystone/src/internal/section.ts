/**
 * A configuration file as it was read.
 */

/** What a clouds file is made of. */
export type Value = string | null | ReadonlyArray<Value> | Section

/** A mapping. */
export interface Section {
  readonly [key: string]: Value
}

export const isSection = (value: Value | undefined): value is Section =>
  typeof value === "object" && value !== null && !Array.isArray(value)
