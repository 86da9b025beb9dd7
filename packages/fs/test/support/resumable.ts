/**
 * A program that uploads a file to a file with a journal, `node resumable.ts FROM TO STATE PART_BYTES`. It prints a line
 * when the upload is noted, one for each part that is, and at last the receipt and the offsets at which the source was
 * opened. To be killed.
 */
import * as Transfer from "@headrace/core/Transfer"
import { type Entry, UploadJournal } from "@headrace/core/UploadJournal"
import * as FileStore from "@headrace/fs/FileStore"
import * as FileSource from "@headrace/node/FileSource"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Effect from "effect/Effect"

const [from, to, state, partBytes] = process.argv.slice(2)

const say = (line: string) => Effect.sync(() => void process.stdout.write(`${line}\n`))

const journal = FileUploadJournal.make({ folder: state! })
const telling = (entry: Entry): Entry => ({
  ...entry,
  begun: (upload) => Effect.andThen(entry.begun(upload), say("begun")),
  // The one who reads it must have a chance to come in between.
  taken: (part, hashes) =>
    Effect.andThen(Effect.andThen(entry.taken(part, hashes), say(`part ${part.number}`)), Effect.sleep(3))
})

const file = FileSource.make(from!)
/** Where it was opened, in bytes. */
const opened: Array<number> = []
const source = {
  ...file,
  open: (offset: number) => {
    opened.push(offset)
    return file.open(offset)
  }
}

const receipt = await Transfer.run({
  source,
  to: [FileStore.file(to!, { partBytes: Number(partBytes) })],
  digest: ["sha256"],
  verify: "destination"
}).pipe(
  Effect.provideService(UploadJournal, {
    ...journal,
    open: (key, how) => Effect.map(journal.open(key, how), telling)
  }),
  Effect.provide(NodeHeadrace.layer),
  Effect.runPromise
)
console.log(JSON.stringify({ receipt, opened }))
