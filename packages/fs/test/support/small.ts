/**
 * A program that uploads three bytes to a file, `node small.ts PATH`, and prints what it comes to.
 */
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import * as FileStore from "@headrace/fs/FileStore"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Effect from "effect/Effect"

const source = Source.fromBytes(Uint8Array.of(1, 2, 3))
const outcome = await Transfer.run({ source, to: [FileStore.file(process.argv[2]!)] }).pipe(
  Effect.match({
    onSuccess: ({ destinations: [destination] }) => ({ status: destination!.status, notes: destination!.notes ?? [] }),
    onFailure: ({
      left,
      message,
      reason,
      receipt: {
        destinations: [destination]
      }
    }) => ({
      reason: reason._tag,
      message,
      left,
      bytesSent: destination!.bytesSent
    })
  }),
  Effect.provide(NodeHeadrace.layer),
  Effect.runPromise
)
console.log(JSON.stringify(outcome))
