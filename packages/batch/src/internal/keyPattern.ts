/**
 * Patterns of keys: `*` stands for any text, none included.
 */

export interface KeyPattern {
  readonly text: string
  /** What the stars stand for; `undefined` where the key is another one. */
  readonly match: (key: string) => ReadonlyArray<string> | undefined
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")

export const stars = (text: string): number => text.split("*").length - 1

export const make = (text: string): KeyPattern => {
  const expression = new RegExp(`^${text.split("*").map(escaped).join("(.*?)")}$`, "su")
  return { text, match: (key) => expression.exec(key)?.slice(1) }
}

/** Puts what the stars stand for in the stars' places, in their order. */
export const fill = (text: string, stands: ReadonlyArray<string>): string =>
  text
    .split("*")
    .map((piece, index) => (index === 0 ? piece : `${stands[index - 1] ?? ""}${piece}`))
    .join("")
