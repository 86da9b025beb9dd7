/**
 * Uploads a file slowly, and prints how many bytes are sent. To be killed by a test.
 * `node killable.ts FILE ENDPOINT STATE`
 */
import * as Bandwidth from "@headrace/core/Bandwidth"
import * as Transfer from "@headrace/core/Transfer"
import * as TusStore from "@headrace/example-store-tus/TusStore"
import * as FileSource from "@headrace/node/FileSource"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Effect from "effect/Effect"

const [file, endpoint, state] = process.argv.slice(2)
// Four times a second it is told how far it is: between two of these it must not come to its end.
const root = await Effect.runPromise(Bandwidth.make({ bytesPerSecond: 8 * 1024 * 1024 }))
const receipt = await Effect.runPromise(
  Transfer.run({
    source: FileSource.make(file!),
    to: [TusStore.upload({ endpoint: endpoint!, filename: "disk.img" })],
    verify: "destination",
    onEvent: (event) =>
      Effect.sync(() => {
        if (event.type === "progress") process.stdout.write(`${event.destinations[0]!.sent}\n`)
      })
  }).pipe(
    Effect.provideService(Bandwidth.Root, root),
    Effect.provide(FileUploadJournal.layer({ folder: state! })),
    Effect.provide(NodeHeadrace.layer)
  )
)
process.stdout.write(`${JSON.stringify(receipt)}\n`)
