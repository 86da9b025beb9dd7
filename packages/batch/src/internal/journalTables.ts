/**
 * What the journal's file holds.
 *
 * - `line`: a line of the manifest each, found by its id; so that no id is there twice, however long the manifest is.
 * - `place`: where lines write to, so that no two of a manifest write to one place.
 * - `made`: objects that were begun and are not proven, by the names that they were given before, and where; `told`, when
 *   a receipt says that they are left.
 * - `receipt`: the verdicts, in the order in which they came.
 * - `before`: the verdicts of lines that were opened again, with the URIs of those that do not hold any more.
 */

/** Of the file's header: tells a journal from other databases, "Hdrc". */
export const applicationId = 0x48647263
/** The format of the tables. */
export const format = 1

export const states = { open: 0, begun: 1, done: 2, failed: 3 } as const

/** A line as it is kept. */
export interface Row {
  readonly seq: number
  readonly id: string
  readonly number: number
  readonly text: string
  readonly state: number
  /** When it was begun last, in milliseconds since 1970. */
  readonly begun: number | null
}

/** A line as it comes from the manifest. */
export interface Given {
  readonly id: string
  readonly number: number
  readonly size: number | null
  readonly text: string
  /** The image that is the source, by its id. */
  readonly image: string | null
  /** Where it writes to, as far as no other line may. */
  readonly places: ReadonlyArray<string>
}

export interface Told {
  readonly kind: "wrong" | "changed" | "vanished"
  readonly number: number
  readonly field: string
  readonly message: string
}

export const tables = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
  CREATE TABLE line (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    size INTEGER NOT NULL,
    state INTEGER NOT NULL,
    loaded INTEGER NOT NULL,
    begun INTEGER,
    image TEXT,
    text TEXT NOT NULL
  );
  CREATE INDEX line_order ON line (state, size DESC, seq);
  CREATE INDEX line_image ON line (image) WHERE image IS NOT NULL;
  CREATE TABLE place (name TEXT PRIMARY KEY, seq INTEGER NOT NULL, loaded INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE made (
    seq INTEGER NOT NULL,
    place INTEGER NOT NULL,
    object TEXT NOT NULL,
    uri TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (seq, place, object)
  ) WITHOUT ROWID;
  CREATE TABLE before (seq INTEGER PRIMARY KEY, json TEXT NOT NULL, wrong TEXT NOT NULL);
  CREATE TABLE receipt (number INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL UNIQUE, json TEXT NOT NULL);
`

/** What keeps a journal from being used, by its name among `JournalError`'s reasons. */
export class Refusal extends Error {
  readonly reason: "Locked" | "Newer" | "Foreign" | "Lost" | "Full" | "Unusable"

  constructor(reason: Refusal["reason"], message: string) {
    super(message)
    this.reason = reason
  }
}
