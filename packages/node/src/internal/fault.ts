/**
 * The operating system's errors in the words that people know.
 */

const words: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  ENOTDIR: "no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a folder",
  EIO: "the device reports an I/O error",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  ELOOP: "too many levels of links",
  ENAMETOOLONG: "the name is too long",
  ESTALE: "the file is gone from its server",
  ENXIO: "no such device"
}

export const errorCode = (cause: unknown): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

export const describeFault = (cause: unknown): string => {
  const code = errorCode(cause)
  if (code !== undefined && words[code] !== undefined) return words[code]
  const message = cause instanceof Error ? cause.message : String(cause)
  return message.split("\n")[0] ?? ""
}
