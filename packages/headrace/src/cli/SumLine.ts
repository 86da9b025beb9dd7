/**
 * Digests as coreutils print them, so that its `--check` can read them.
 *
 * @since 0.1.0
 */
import type { Algorithm, Digests } from "../Types.ts"

/** A name with a backslash or a line end in it is escaped, and the line begins with a backslash. */
const escaped = (name: string): { readonly mark: string; readonly name: string } =>
  /[\\\n\r]/.test(name)
    ? { mark: "\\", name: name.replace(/\\/g, "\\\\").replace(/\n/g, "\\n").replace(/\r/g, "\\r") }
    : { mark: "", name }

/** One digest: `HEX  NAME`. Several: `ALGORITHM (NAME) = HEX`, as `--tag` does, since the length would not tell them apart. */
export const lines = (name: string, algorithms: ReadonlyArray<Algorithm>, digests: Digests): ReadonlyArray<string> => {
  const shown = escaped(name)
  return algorithms.map((algorithm) =>
    algorithms.length === 1
      ? `${shown.mark}${digests[algorithm]}  ${shown.name}`
      : `${shown.mark}${algorithm.toUpperCase()} (${shown.name}) = ${digests[algorithm]}`
  )
}
