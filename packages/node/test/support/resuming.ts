/**
 * Uploads a file in parts into a folder, and prints each part that was taken. To be killed by a test.
 * `node resuming.ts FILE FOLDER STATE PART_BYTES`
 */
import * as Effect from "effect/Effect"
import * as FileSource from "@headrace/node/FileSource"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Transfer from "@headrace/core/Transfer"
import * as PartsFolder from "./PartsFolder.ts"

const [file, folder, state, partBytes] = process.argv.slice(2)
const store = PartsFolder.make({
  folder: folder!,
  partBytes: Number(partBytes),
  onPart: (number, bytes) =>
    Effect.andThen(
      Effect.sync(() => process.stdout.write(`${number} ${bytes}\n`)),
      Effect.sleep(2)
    )
})
const receipt = await Effect.runPromise(
  Transfer.run({ source: FileSource.make(file!), to: [store] }).pipe(
    Effect.provide(FileUploadJournal.layer({ folder: state! })),
    Effect.provide(NodeHeadrace.layer)
  )
)
process.stdout.write(`${JSON.stringify(receipt)}\n`)
