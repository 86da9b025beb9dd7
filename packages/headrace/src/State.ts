/**
 * Where it is noted how far uploads in parts are, so that one that was cut off goes on where it was.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Entry, UploadJournalService } from "@headrace/core/UploadJournal"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"

/**
 * What is wrong with a folder as it was typed, if anything.
 *
 * @since 0.1.0
 * @category parsing
 */
export const wrong = (folder: string | undefined): string | undefined =>
  folder === "" || folder?.includes("\0") === true ? "this is no folder: write its path" : undefined

/** Nothing is noted. */
const blank: Entry = {
  earlier: undefined,
  begun: () => Effect.void,
  cut: () => Effect.void,
  taken: () => Effect.void,
  done: Effect.void
}

/**
 * The journal in a folder that was named, or in the platform's for such things. Where nobody named one, and none can be
 * made, an upload is not refused for it: in a container without a home for instance. It is told once, and nothing is noted.
 *
 * @since 0.1.0
 * @category constructors
 */
export const journal = (options: {
  readonly folder: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly complain: (line: string) => void
}): UploadJournalService => {
  if (options.folder !== undefined) return FileUploadJournal.make({ folder: options.folder })
  let told = false
  const without = (why: string) =>
    Effect.sync(() => {
      if (!told) options.complain(`headrace: ${why}: an upload that is cut off begins afresh; see --state`)
      told = true
      return blank
    })
  const folder = Result.try(() => FileUploadJournal.defaultFolder(options.env))
  if (Result.isFailure(folder)) {
    return { open: () => without("there is no home folder to note uploads in"), list: Effect.succeed([]) }
  }
  const service = FileUploadJournal.make({ folder: folder.success })
  return { ...service, open: (key, how) => Effect.catch(service.open(key, how), ({ message }) => without(message)) }
}
