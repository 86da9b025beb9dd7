/**
 * A raw HTTP server for what no image service does on purpose.
 */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"

/** Its address; it ends with the scope, and all its connections with it. */
export const server = (handle: http.RequestListener) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<http.Server>((resume) => {
        const made = http.createServer(handle)
        made.listen(0, "127.0.0.1", () => resume(Effect.succeed(made)))
      }),
      (made) =>
        Effect.callback<void>((resume) => {
          made.close(() => resume(Effect.void))
          made.closeAllConnections()
        })
    ),
    (made) => `http://127.0.0.1:${(made.address() as AddressInfo).port}`
  )
