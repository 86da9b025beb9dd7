/** The code in the project's documents, so that it can be run as it is written. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "../../..")

export const read = (document: string): string => readFileSync(join(root, document), "utf8")

/** The fenced blocks of a document in one language, in order. */
export const blocks = (document: string, language: string): ReadonlyArray<string> =>
  [...read(document).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, of]) => of === language)
    .map(([, , code]) => code!)
