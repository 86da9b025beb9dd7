/**
 * Where a line writes to, by names that are the same when the place is: two lines that write to one place would each
 * find their bytes there, and one of them would be lost. A new image is another one each time.
 */
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import type { Line } from "../Line.ts"

const uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
const givenImage = new RegExp(`^(glance://[^/?#]+/${uuid})(?:[?#]|$)`, "i")
const namedImage = new RegExp(`^(glance://[^/?#]+)[/?].*[?&]id=(${uuid})(?:&|$)`, "i")

const placeOf = (text: string): string | undefined => {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase()
  switch (scheme) {
    case undefined:
      return `file:${resolve(text)}`
    case "file":
      try {
        return `file:${resolve(fileURLToPath(text))}`
      } catch {
        return undefined
      }
    case "glance": {
      const given = givenImage.exec(text)?.[1] ?? namedImage.exec(text)?.slice(1).join("/")
      return given?.toLowerCase()
    }
    case "s3":
    case "swift":
      return text.split("?", 1)[0]
    default:
      return text
  }
}

/** Of all destinations; those that cannot be told are left out. */
export const of = ({ also, to }: Line): ReadonlyArray<string> =>
  [...to, ...also].map(placeOf).filter((place) => place !== undefined)
