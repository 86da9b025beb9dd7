/**
 * Errors of sockets and TLS as one line for people. Never a header, never a query.
 */
import { errorCode } from "./fault.ts"

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was closed",
  ETIMEDOUT: "the connection timed out",
  ENOTFOUND: "the name is not known",
  EAI_AGAIN: "the name could not be looked up",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed (trust it with cacert)",
  SELF_SIGNED_CERT_IN_CHAIN: "a certificate in its chain is self-signed (trust it with cacert)",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is signed by nobody that is trusted (name the authority with cacert)",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "its certificate is signed by nobody that is trusted (name the authority with cacert)",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  HPE_INVALID_CONSTANT: "the answer is not HTTP",
  HPE_INVALID_HEADER_TOKEN: "the answer is not valid HTTP",
  HPE_CR_EXPECTED: "the answer is not valid HTTP"
}

export const describe = (cause: unknown): string => {
  const code = errorCode(cause)
  if (code !== undefined && words[code] !== undefined) return words[code]
  if (code !== undefined && code.startsWith("HPE_")) return "the answer is not valid HTTP"
  const message = cause instanceof Error ? cause.message : String(cause)
  return message === "socket hang up" ? "the connection was closed" : (message.split("\n")[0] ?? "unknown")
}
