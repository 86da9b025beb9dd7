/**
 * `node:http`, loaded without an `import`: that reads every export, `WebSocket` among them, whose getter loads all of
 * undici. Measured on Node 24: 20 ms and 14 MiB of memory for nothing.
 */
import type * as Http from "node:http"

export type { ClientRequest, IncomingMessage } from "node:http"

export const http: typeof Http = process.getBuiltinModule("node:http")
