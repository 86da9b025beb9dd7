/**
 * Sizes of files that a manifest names without saying them: for the order of things and for what is told of the time that
 * it will take. Whoever reads the file looks again.
 */
import { statSync } from "node:fs"
import { fileURLToPath } from "node:url"

const pathOf = (source: string): string | undefined => {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return source === "-" ? undefined : source
  try {
    return /^file:/i.test(source) ? fileURLToPath(source) : undefined
  } catch {
    return undefined
  }
}

/** Bytes of the file that is a source; `undefined` where it is none, or cannot be looked at. */
export const ofFile = (source: string): number | undefined => {
  const path = pathOf(source)
  if (path === undefined) return undefined
  try {
    const stats = statSync(path, { throwIfNoEntry: false })
    return stats?.isFile() === true ? stats.size : undefined
  } catch {
    return undefined
  }
}
