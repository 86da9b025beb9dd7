/**
 * Uploads a file to the testbed's S3 with a journal, and says when a part was taken. To be killed by a test.
 * `node resuming.ts FILE KEY STATE`
 */
import * as Effect from "effect/Effect"
import * as Transfer from "@headrace/core/Transfer"
import type { PartsSession, Store } from "@headrace/core/Store"
import * as FileSource from "@headrace/node/FileSource"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import type { Transport } from "@headrace/core/Transport"
import * as S3Store from "@headrace/s3/S3Store"
import * as Bed from "./bed.ts"

const [file, key, state] = process.argv.slice(2)

const store = S3Store.object({ ...Bed.place(key!), partSize: 5 * Bed.mib })

const told: Store<Transport> = {
  ...store,
  open: (content) =>
    Effect.map(store.open(content), (session): PartsSession => ({
      ...session,
      wanted: session.wanted,
      get partDigests() {
        return session.partDigests
      },
      writePart: (part) =>
        Effect.tap(session.writePart(part), () =>
          Effect.sync(() => process.stdout.write(`${part.number} ${part.length}\n`))
        )
    }))
}

const receipt = await Effect.runPromise(
  Transfer.run({ source: FileSource.make(file!), to: [told] }).pipe(
    Effect.provide(FileUploadJournal.layer({ folder: state! })),
    Effect.provide(NodeHeadrace.layer)
  )
)
process.stdout.write(`${JSON.stringify(receipt)}\n`)
