/** Looks into JSON whose shape is not known. */

/** The JSON of a text, or `undefined` when it is none. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A property, or `undefined`. */
export const property = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce(
    (found, key) =>
      typeof found === "object" && found !== null && Object.hasOwn(found, key) ? Reflect.get(found, key) : undefined,
    value
  )

/** A property that is a text and not empty, or `undefined`. */
export const field = (value: unknown, ...path: ReadonlyArray<string>): string | undefined => {
  const found = property(value, ...path)
  return typeof found === "string" && found !== "" ? found : undefined
}

/** The array itself, or an empty one. */
export const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
