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

const notTls = new Set(["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "ERR_SSL_HTTP_REQUEST"])

export const describe = (cause: unknown): string => {
  if (cause === undefined) return "the connection was closed"
  if (cause instanceof Error && cause.message === "socket hang up") return "the connection was closed without an answer"
  const code = errorCode(cause)
  if (code !== undefined && words[code] !== undefined) return words[code]
  if (code !== undefined && code.startsWith("HPE_")) return "the answer is not valid HTTP"
  if (code !== undefined && notTls.has(code)) return "the server does not speak TLS there"
  // OpenSSL's own messages hold addresses and file names; its reason is a few words.
  if (code !== undefined && code.startsWith("ERR_SSL_") && cause instanceof Error && "reason" in cause) {
    return `TLS: ${String(cause.reason)}`
  }
  const message = cause instanceof Error ? cause.message : String(cause)
  return message.split("\n")[0] ?? "unknown"
}
