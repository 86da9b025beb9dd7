/**
 * Batches for programs that do not use Effect: what `headrace run` does, with promises and async iterables.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { resolve } from "node:path"
import { UploadJournal } from "@headrace/core/UploadJournal"
import * as BatchSettings from "./BatchSettings.ts"
import type { BatchEvent, ManifestLine, Summary } from "./BatchTypes.ts"
import * as Engine from "./Engine.ts"
import { HeadraceError } from "./HeadraceError.ts"
import { aliveDuring } from "./internal/aliveDuring.ts"
import * as BatchQueue from "./internal/batchQueue.ts"
import { inFolder } from "./internal/inFolder.ts"
import * as Manifests from "./internal/manifests.ts"
import * as SharedEngine from "./internal/sharedEngine.ts"
import * as Settings from "./Settings.ts"
import * as State from "./State.ts"
import type { UploadOptions } from "./Upload.ts"

/**
 * What is to be run: a manifest's path, or its lines.
 *
 * @since 0.1.0
 * @category models
 */
export type ManifestInput = string | Iterable<ManifestLine> | AsyncIterable<ManifestLine>

/**
 * Dropped first, then renamed, then set. A `*` in a key stands for any text, which goes where the new key has its `*`.
 *
 * @since 0.1.0
 * @category models
 */
export interface MappingRules {
  readonly drop?: ReadonlyArray<string> | undefined
  /** New keys by old ones. */
  readonly rename?: Readonly<Record<string, string>> | undefined
  readonly set?: Readonly<Record<string, string>> | undefined
}

/**
 * How to run a batch. What is left out is as with the command.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions extends Pick<
  UploadOptions,
  | "limit"
  | "digest"
  | "verify"
  | "retries"
  | "stall"
  | "answer"
  | "memory"
  | "hasher"
  | "keepFailed"
  | "allowEmpty"
  | "resume"
  | "state"
  | "signal"
  | "env"
  | "cwd"
> {
  /** The journal's file (`MANIFEST.journal`). Lines that come from a program have none unless it is given. */
  readonly journal?: string | undefined
  /** Transfers at once (`"auto"`). */
  readonly concurrency?: number | "auto" | undefined
  /** Which lines come first (`"largest"`). */
  readonly order?: "listed" | "largest" | undefined
  /** Begin no further line after so many have failed. */
  readonly maxFailures?: number | undefined
  /** Begin no further line after so long, and end those that run. */
  readonly deadline?: string | number | undefined
  /** Only the lines with these ids. */
  readonly only?: ReadonlyArray<string> | undefined
  /** Do lines again that have failed. */
  readonly retryFailed?: boolean | undefined
  /** Leave lines out that are wrong. */
  readonly skipInvalid?: boolean | undefined
  /** Take over lines that were changed since an earlier run. */
  readonly replan?: boolean | undefined
  /** Rules for the properties that images take over of the images that are their sources. */
  readonly map?: MappingRules | undefined
  /** Leave out what the destination has already: under the same name, or the same content under any. Proven, both. */
  readonly skipExisting?: "name" | "hash" | undefined
  /** A file that the receipts are written to, a line each. */
  readonly receipts?: string | undefined
  /** Look at every precondition and tell what would be done, in `plan` events. */
  readonly dryRun?: boolean | undefined
}

/**
 * What has come of a batch.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunResult {
  readonly summary: Summary
  /** Whether every line of the manifest is verified or stored. */
  readonly complete: boolean
  /** Why lines were not begun. */
  readonly stopped: "failures" | "deadline" | undefined
  /** Lines that were wrong, and left out. */
  readonly wrong: number
  /** Lines that earlier runs have brought to a bad end, and that were not done again. */
  readonly failedBefore: number
}

/**
 * A batch that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Run {
  /**
   * The events, for one reader; who is slow slows the batch down, and who does not read at all misses them.
   */
  readonly events: AsyncIterable<BatchEvent>
  /**
   * What has come of it, also when lines have failed: each has its receipt. Rejects with `HeadraceError` when the batch
   * could not begin or go on: a manifest that is wrong, a journal that another process has, an abort.
   */
  readonly result: Promise<RunResult>
}

/**
 * Runs a batch. It begins at once, and goes on where an earlier one with the same journal has ended.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (manifest: ManifestInput, options: RunOptions = {}): Run => {
  const queue = BatchQueue.make()
  const result = aliveDuring(start(manifest, options, queue)).finally(queue.end)
  result.catch(() => {})
  return { events: queue.events, result }
}

const refuse = (setting: string, message: string): HeadraceError =>
  new HeadraceError({
    reason: "InvalidConfig",
    message: `${setting}: ${message}`,
    retryable: false,
    left: "none",
    uri: setting,
    receipt: undefined
  })

const start = async (
  manifest: ManifestInput,
  options: RunOptions,
  queue: BatchQueue.BatchQueue
): Promise<RunResult> => {
  const settings = Settings.parse(options)
  if (Result.isFailure(settings)) throw refuse(settings.failure.setting, settings.failure.message)
  const batch = BatchSettings.parse(options)
  if (Result.isFailure(batch)) throw refuse(batch.failure.setting, batch.failure.message)
  const { skipExisting } = options
  if (skipExisting !== undefined && skipExisting !== "name" && skipExisting !== "hash") {
    throw refuse("skipExisting", 'allowed: "name", "hash"')
  }
  if (State.wrong(options.state) !== undefined) throw refuse("state", "write a folder's path")
  if (options.signal?.aborted === true) throw interrupted(options)
  const at = (path: string) => resolve(options.cwd ?? "", path)
  const journal = options.journal ?? (typeof manifest === "string" ? `${manifest}.journal` : undefined)
  if (journal === undefined)
    throw refuse("journal", "it is missing: lines of a program have no place for it beside them")

  const { expect: _expect, hasher: _hasher, limit: _limit, memoryBytes: _memory, ...transfer } = settings.success
  const { metricsPort: _port, ...how } = batch.success
  let wrong: string | undefined
  const work = Effect.gen(function* () {
    const Batch = yield* Effect.promise(() => import("@headrace/batch/Batch"))
    const Mapping = yield* Effect.promise(() => import("@headrace/batch/Mapping"))
    const map = yield* Effect.fromResult(Mapping.decode(options.map ?? {}))
    const given = yield* Manifests.of(manifest, at)
    return yield* Batch.run(given, {
      ...how,
      journal: at(journal),
      receipts: options.receipts === undefined ? undefined : at(options.receipts),
      retryFailed: options.retryFailed,
      skipInvalid: options.skipInvalid,
      replan: options.replan,
      dryRun: options.dryRun,
      map,
      skipExisting,
      surroundings: options,
      transfer: {
        ...transfer,
        keepFailed: options.keepFailed ?? false,
        allowEmpty: options.allowEmpty ?? false,
        resume: options.resume ?? true
      },
      onLine: ({ field, kind, message, number }) => {
        if (kind !== "vanished") wrong ??= `${given.name}:${number}: ${field}: ${message}`
      },
      onEvent: (event) => {
        const room = queue.push(event)
        return room === undefined ? Effect.void : Effect.promise(() => room)
      }
    })
  })
  const { release, runtime } = SharedEngine.acquire(settings.success)
  try {
    const exit = await runtime.runPromiseExit(
      work.pipe(
        Effect.provide(Engine.limit(settings.success.limit)),
        Effect.provideService(
          UploadJournal,
          State.journal({
            folder: options.state === undefined ? undefined : at(options.state),
            env: options.env,
            complain: () => {}
          })
        ),
        inFolder(options)
      ),
      options.signal === undefined ? undefined : { signal: options.signal }
    )
    if (Exit.isSuccess(exit)) {
      const { failedBefore, loaded, open, stopped, summary } = exit.value
      const undone = summary.failed + open + failedBefore + loaded.wrong
      return { summary, complete: undone === 0, stopped, wrong: loaded.wrong, failedBefore }
    }
    if (Exit.hasInterrupts(exit)) throw interrupted(options)
    throw toError(exit.cause, wrong)
  } finally {
    release()
  }
}

const interrupted = (options: RunOptions): HeadraceError =>
  new HeadraceError({
    reason: "Interrupted",
    message: "interrupted; the same call goes on where it was",
    retryable: false,
    left: "none",
    uri: "",
    receipt: undefined,
    cause: options.signal?.reason
  })

interface Failed {
  readonly _tag: string
  readonly field?: string
  readonly message: string
  readonly path?: string
  readonly name?: string
}

const toError = (cause: Cause.Cause<Failed>, wrong: string | undefined): HeadraceError =>
  Option.match(Cause.findErrorOption(cause), {
    onSome: (error) => {
      const where =
        error._tag === "MappingError"
          ? `map.${error.field}`
          : error._tag === "BatchError"
            ? ""
            : (error.path ?? error.name ?? "")
      const more = wrong === undefined || error._tag !== "BatchError" ? "" : `; the first is ${wrong}`
      return new HeadraceError({
        reason: "InvalidConfig",
        message: `${where === "" ? "" : `${where}: `}${error.message}${more}`,
        retryable: false,
        left: "none",
        uri: where,
        receipt: undefined,
        cause: error
      })
    },
    onNone: () => {
      const defect = Cause.squash(cause)
      return new HeadraceError({
        reason: "Rejected",
        message: `internal error: ${defect instanceof Error ? defect.message : String(defect)}`,
        retryable: false,
        left: "unknown",
        uri: "",
        receipt: undefined,
        cause: defect
      })
    }
  })
