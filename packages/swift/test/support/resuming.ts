/**
 * Uploads a file in segments to the Swift of the testbed, and prints each segment that was taken. To be killed by a test.
 * `node resuming.ts FILE CONTAINER STATE SEGMENT_BYTES ENDPOINT TOKEN`
 */
import type { Session } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import * as FileSource from "@headrace/node/FileSource"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as SwiftStore from "@headrace/swift/SwiftStore"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

const [file = "", container = "", state = "", bytes, endpoint = "", token = ""] = process.argv.slice(2)

const store = SwiftStore.object({
  endpoint,
  token: Redacted.make(token),
  container,
  object: "disk.img",
  segmentSize: Number(bytes)
})

const told = (session: Session): Session =>
  session.shape === "whole"
    ? session
    : {
        ...session,
        writePart: (part) =>
          Effect.tap(session.writePart(part), () =>
            Effect.sync(() => process.stdout.write(`${part.number} ${part.length}\n`))
          )
      }

const receipt = await Effect.runPromise(
  Transfer.run({
    source: FileSource.make(file),
    to: [{ ...store, open: (content) => Effect.map(store.open(content), told) }]
  }).pipe(Effect.provide(FileUploadJournal.layer({ folder: state })), Effect.provide(NodeHeadrace.layer))
)
process.stdout.write(`${JSON.stringify(receipt)}\n`)
