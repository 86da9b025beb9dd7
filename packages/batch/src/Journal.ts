/**
 * What a batch has done so far. It survives `kill -9`: what is begun is noted before it is begun, with the names that it
 * will have at the destination, and every end is noted before it is told.
 *
 * This is the port; `SqliteJournal` keeps it in a file. Each run that writes has an epoch of its own, higher than all
 * before it, and every write of a run whose epoch is not the latest is refused (`Lost`): two runs that believe to be the
 * only one cannot both be noted. What is written is durable when its effect ends.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Line } from "./Line.ts"
import type { Read } from "./Manifest.ts"

/**
 * - `Locked`: another run that lives writes it.
 * - `Newer`: a later release of this program has made it.
 * - `Foreign`: it is no journal.
 * - `Lost`: another run has taken it over.
 * - `Full`: there is no room to write.
 * - `Unusable`: it cannot be read, or not be written.
 *
 * @since 0.1.0
 * @category errors
 */
export class JournalError extends Data.TaggedError("JournalError")<{
  readonly reason: "Locked" | "Newer" | "Foreign" | "Lost" | "Full" | "Unusable"
  readonly path: string
  readonly message: string
}> {}

/**
 * An object that was begun at a destination, by the name that it was given before.
 *
 * @since 0.1.0
 * @category models
 */
export interface Made {
  /** The destination's place among `to` and then `also`. */
  readonly place: number
  /** What the store calls the object: an image's id. */
  readonly object: string
  /** Where it was to be, as the line said then. */
  readonly uri: string
}

/**
 * A line that is to be done.
 *
 * @since 0.1.0
 * @category models
 */
export interface Item {
  /** Its place in the journal. */
  readonly seq: number
  readonly line: Line
  /** Its number in the manifest. */
  readonly number: number
  /** What an earlier run has begun and not brought to an end. */
  readonly made: ReadonlyArray<Made>
  /** The verdicts that it had before it was opened again, and the URIs of those that do not hold any more. */
  readonly before: { readonly receipt: string; readonly wrong: ReadonlyArray<string> } | undefined
  /** When an earlier run has begun it, in milliseconds since 1970, where it has not come to an end. */
  readonly begunAt: number | undefined
}

/**
 * How a line has ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Ending = "done" | "failed"

/**
 * What is noted of a line's end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ended {
  readonly ending: Ending
  readonly receipt: string
  /** As the source has them; -1 where that is not known. */
  readonly bytes: number
  /** Objects that the receipt stands for, whichever run began them: they are never what is left of something. */
  readonly objects: ReadonlyArray<string>
  /** Whether something else that was begun may be there. */
  readonly left: boolean
}

/**
 * What stands of a line whose other destinations were cut off.
 *
 * @since 0.1.0
 * @category models
 */
export interface Standing {
  readonly receipt: string
  readonly objects: ReadonlyArray<string>
}

/**
 * How many lines there are, by how they stand.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  /** Not begun, or begun by an earlier run that was cut off. */
  readonly open: number
  readonly done: number
  readonly failed: number
  /** Bytes of the open ones, as far as it is known. */
  readonly openBytes: number
  /** Open ones without a size. */
  readonly openUnsized: number
}

/**
 * What came of reading a manifest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Loaded {
  readonly fresh: number
  readonly same: number
  /** Lines that were another transfer before; nothing is taken over unless that was asked for. */
  readonly changed: number
  /** Lines that were there before and are no more. */
  readonly vanished: number
  readonly wrong: number
  /** Whether the manifest was taken over. */
  readonly taken: boolean
}

/**
 * How a manifest is taken over.
 *
 * @since 0.1.0
 * @category models
 */
export interface LoadOptions<E, R> {
  readonly lines: Stream.Stream<Read, E, R>
  /** Names the manifest's content: with the same name it need not be read again. `undefined`: that is not known. */
  readonly content: string | undefined
  /** Takes over lines that were changed. */
  readonly replan: boolean
  /** Leaves lines out that are wrong. */
  readonly skipInvalid: boolean
  /** For this run's questions only: when the journal is closed, nothing of it was noted. Nor is anything else. */
  readonly trial: boolean
  /** Told of each line that is wrong, was changed or is there no more. */
  readonly onLine: (told: {
    readonly kind: "wrong" | "changed" | "vanished"
    readonly number: number
    readonly field: string
    readonly message: string
  }) => void
}

/**
 * What a run does with its journal.
 *
 * @since 0.1.0
 * @category services
 */
export interface Journal {
  /** As users type it. */
  readonly path: string
  readonly epoch: number
  /** Takes a manifest over, as a whole or not at all. */
  readonly load: <E, R>(options: LoadOptions<E, R>) => Effect.Effect<Loaded, JournalError | E, R>
  /** From here on nothing is noted: what is written is there for this run's own questions, until the journal is closed. */
  readonly hold: Effect.Effect<void, JournalError>
  /** Counts the lines; failed ones only while the manifest has them. */
  readonly counts: Effect.Effect<Counts, JournalError>
  /**
   * Hands out lines that are to be done, none twice in a run: first those that were begun by an earlier run, then in the
   * order that is asked for, from its beginning or, of `largest`, its end. From then on they are noted as begun, at the
   * time `now`, in milliseconds since 1970.
   */
  readonly next: (query: {
    readonly order: "listed" | "largest"
    readonly end: "first" | "last"
    readonly limit: number
    readonly now: number
  }) => Effect.Effect<ReadonlyArray<Item>, JournalError>
  /** The line with an id that is open, handed out in the same way. */
  readonly take: (id: string, now: number) => Effect.Effect<Item | undefined, JournalError>
  /** An object is about to be made. */
  readonly make: (seq: number, made: Made) => Effect.Effect<void, JournalError>
  /** An object was begun that does not exist any more. */
  readonly unmake: (seq: number, made: Made) => Effect.Effect<void, JournalError>
  /** What was begun of a line, and may be there. */
  readonly madeOf: (seq: number) => Effect.Effect<ReadonlyArray<Made>, JournalError>
  /** The line has come to its end. */
  readonly end: (seq: number, ended: Ended) => Effect.Effect<void, JournalError>
  /**
   * The line is open again. `left`: whether something that was begun may be there. `standing`: what has been proven of it
   * already; the line is given with it when it is done again, as its `before`.
   */
  readonly release: (
    seq: number,
    how: { readonly left: boolean; readonly standing: Standing | undefined }
  ) => Effect.Effect<void, JournalError>
  /**
   * Lines that have ended, or that the manifest has no more, of which an earlier run has begun something that was not there
   * when it was looked for.
   */
  readonly strays: Effect.Effect<ReadonlyArray<Item>, JournalError>
  /**
   * Opens lines again that have ended: those that failed, all of them or with these ids, or one with an id, of which a destination's verdict does not hold
   * any more.
   */
  readonly reopen: (
    which: { readonly failed: ReadonlyArray<string> | undefined } | { readonly id: string; readonly wrong: string }
  ) => Effect.Effect<void, JournalError>
  /** Whether receipts were taken back since `copied`: of lines that were opened again, or changed. */
  readonly tookBack: Effect.Effect<boolean, JournalError>
  /** Somebody has copied all receipts afresh. */
  readonly copied: Effect.Effect<void, JournalError>
  /** Lines whose source is a certain image, by its id. */
  readonly ofImage: (
    id: string
  ) => Effect.Effect<
    ReadonlyArray<{ readonly line: Line; readonly state: "open" | Ending; readonly receipt: string | undefined }>,
    JournalError
  >
  /** Receipts in the order in which they were noted, those after a number. */
  readonly receipts: (after: number) => Stream.Stream<Noted, JournalError>
  /** Whether a receipt is, or before it was taken back was, the one of a line with an id. */
  readonly knows: (id: string, receipt: string) => Effect.Effect<boolean, JournalError>
  /** Whether there is a line with an id, also one that the manifest has no more. */
  readonly has: (id: string) => Effect.Effect<boolean, JournalError>
  /** The number of the receipt of a line with an id, where it has one. */
  readonly receiptOf: (id: string) => Effect.Effect<number | undefined, JournalError>
  /** The receipt of a line with an id, as JSON, where it has one. */
  readonly verdictOf: (id: string) => Effect.Effect<string | undefined, JournalError>
  /** Whether a receipt stands for an object, by what its store calls it. */
  readonly stands: (object: string) => Effect.Effect<boolean, JournalError>
  /** How often it has been written durably. */
  readonly commits: () => number
}

/**
 * A receipt as it is noted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Noted {
  readonly order: number
  /** As JSON, in one line. */
  readonly receipt: string
}
