/**
 * The operating system's errors (errno(3)) as a store's: which reason, which words, and whether another attempt can
 * help.
 */
import * as Effect from "effect/Effect"
import type { Reason } from "@headrace/core/Reason"
import * as StoreError from "@headrace/core/StoreError"

interface Meaning {
  readonly reason: Reason
  readonly words: string
  readonly retryable?: boolean
}

const meanings: Readonly<Record<string, Meaning>> = {
  ENOSPC: { reason: "QuotaExceeded", words: "the file system is full" },
  EDQUOT: { reason: "QuotaExceeded", words: "the disk quota is used up" },
  EFBIG: { reason: "TooLarge", words: "the file system takes no file of that size" },
  EROFS: { reason: "Forbidden", words: "the file system is read-only" },
  EACCES: { reason: "Forbidden", words: "permission denied" },
  EPERM: { reason: "Forbidden", words: "the operation is not permitted" },
  ENOENT: { reason: "NotFound", words: "the folder does not exist" },
  ENOTDIR: { reason: "NotFound", words: "what should be its folder is none" },
  EISDIR: { reason: "Conflict", words: "a folder is there" },
  ENAMETOOLONG: { reason: "InvalidUri", words: "the name is too long" },
  EILSEQ: { reason: "InvalidUri", words: "the file system cannot hold such a name" },
  ELOOP: { reason: "InvalidUri", words: "too many levels of links" },
  EXDEV: { reason: "Conflict", words: "the file and its folder are on two file systems" },
  EBUSY: { reason: "Conflict", words: "it is in use by the system: something may be mounted on it" },
  ETXTBSY: { reason: "Conflict", words: "it is a program that runs" },
  EIO: { reason: "Unavailable", words: "the device reports an I/O error", retryable: true },
  ESTALE: { reason: "Unavailable", words: "the file is gone from its server", retryable: true },
  ETIMEDOUT: { reason: "Unavailable", words: "the file's server does not answer", retryable: true },
  ENXIO: { reason: "Unavailable", words: "the device is gone" },
  ENODEV: { reason: "Unavailable", words: "the device is gone" },
  EMFILE: { reason: "Unavailable", words: "too many open files", retryable: true },
  ENFILE: { reason: "Unavailable", words: "too many open files", retryable: true },
  ENOMEM: { reason: "Unavailable", words: "the system is out of memory", retryable: true },
  EAGAIN: { reason: "Unavailable", words: "the system cannot do it now", retryable: true }
}

export const codeOf = (cause: unknown): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

/** An error of the operating system as one of its calls would throw it, for what is found in another way. */
export const errno = (code: string): Error => Object.assign(new Error(code), { code })

/** Of `what` could not be done. What a store has said of itself stays as it is. */
export const toStoreError = (uri: string, what: string, cause: unknown): StoreError.StoreError => {
  if (cause instanceof StoreError.StoreError) return cause
  const code = codeOf(cause)
  const meaning = code === undefined ? undefined : meanings[code]
  const text = cause instanceof Error ? cause.message : String(cause)
  return StoreError.make(meaning?.reason ?? "Rejected", {
    uri,
    message: `${what}: ${meaning?.words ?? text.split("\n")[0] ?? ""}`,
    // A file that is not in place yet is of no consequence, so every failure is a clear one.
    retryable: meaning?.retryable ?? false,
    cause
  })
}

/** Runs calls of the operating system. One that is under way when the fiber is interrupted ends by itself. */
export const calling = <A>(
  uri: string,
  what: string,
  call: () => Promise<A>
): Effect.Effect<A, StoreError.StoreError> =>
  Effect.tryPromise({ try: call, catch: (cause) => toStoreError(uri, what, cause) })
