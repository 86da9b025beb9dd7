/**
 * What is known of the images while a plan is made: on disk, in SQLite's own temporary file, so that the memory does not
 * grow with the number of images. The file has no name, and goes with the process.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { DatabaseSync, SQLOutputValue } from "node:sqlite"
import type { Description } from "@headrace/glance/GlanceImages"
import * as Names from "./names.ts"

export class CatalogueError extends Data.TaggedError("CatalogueError")<{ readonly message: string }> {}

/** An image that is at a destination. */
export interface There {
  readonly id: string
  readonly name: string
  readonly digests: Description["digests"]
}

/** Why an image is not planned. */
export interface Skip {
  readonly kind: string
  readonly why: string
}

export interface Row {
  readonly image: Description
  readonly skip: Skip | undefined
}

/** A row's place in the order of the plan. */
export interface Cursor {
  readonly rank: number
  readonly at: string
  readonly id: string
}

export interface Catalogue {
  /** Notes an image of a destination. */
  readonly addThere: (place: number, image: Description) => Effect.Effect<void, CatalogueError>
  /** Images of a destination that have one of these digests, and the size. */
  readonly there: (place: number, image: Description) => Effect.Effect<ReadonlyArray<There>, CatalogueError>
  readonly named: (place: number, name: string) => Effect.Effect<ReadonlyArray<There>, CatalogueError>
  /** Notes that a source's image is at a destination as another. */
  readonly addFound: (place: number, id: string, found: string) => Effect.Effect<void, CatalogueError>
  readonly found: (place: number, id: string) => Effect.Effect<string | undefined, CatalogueError>
  /** Notes an image of the source; one that was noted already stays as it is. */
  readonly add: (row: Row, references: ReadonlyArray<string>) => Effect.Effect<void, CatalogueError>
  readonly isPlanned: (id: string) => Effect.Effect<boolean, CatalogueError>
  /** Whether no other planned image has the name, or becomes a file of that name. */
  readonly isUnique: (by: "name" | "file", image: Description) => Effect.Effect<boolean, CatalogueError>
  /** Puts images behind those that they refer to. */
  readonly sort: Effect.Effect<void, CatalogueError>
  readonly page: (
    after: Cursor | undefined
  ) => Effect.Effect<ReadonlyArray<Row & { readonly cursor: Cursor }>, CatalogueError>
}

const tables = `
  PRAGMA journal_mode = OFF;
  PRAGMA synchronous = OFF;
  CREATE TABLE image (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, file TEXT NOT NULL, at TEXT NOT NULL, planned INTEGER NOT NULL,
    rank INTEGER NOT NULL DEFAULT 0, body TEXT NOT NULL
  );
  CREATE INDEX image_name ON image (planned, name);
  CREATE INDEX image_file ON image (planned, file);
  CREATE INDEX image_order ON image (rank, at, id);
  CREATE TABLE reference (id TEXT NOT NULL, target TEXT NOT NULL);
  CREATE INDEX reference_id ON reference (id);
  CREATE TABLE there (place INTEGER NOT NULL, hex TEXT NOT NULL, size INTEGER NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL);
  CREATE INDEX there_hex ON there (place, hex);
  CREATE INDEX there_name ON there (place, name);
  CREATE TABLE found (place INTEGER NOT NULL, id TEXT NOT NULL, found TEXT NOT NULL, PRIMARY KEY (place, id));
`

/** Longer chains are circles. */
const longestChain = 1000

const pageRows = 200

type Sql = Readonly<Record<string, SQLOutputValue>>

const thereOf = (rows: ReadonlyArray<Sql>): ReadonlyArray<There> =>
  rows.map(({ body }) => JSON.parse(String(body)) as There)

const rowOf = ({ at, body, id, rank }: Sql): Row & { readonly cursor: Cursor } => {
  const { image, skip } = JSON.parse(String(body)) as Row
  return { image, skip, cursor: { rank: Number(rank), at: String(at), id: String(id) } }
}

const kept = <A>(use: () => A): Effect.Effect<A, CatalogueError> =>
  Effect.try({
    try: use,
    catch: (error) =>
      new CatalogueError({
        message: `the list of images cannot be kept in the folder for temporary files: ${error instanceof Error ? error.message : String(error)}`
      })
  })

export const open: Effect.Effect<Catalogue, CatalogueError, Scope.Scope> = Effect.gen(function* () {
  // Loaded here, as it takes a while and few commands need it.
  const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
  const database = yield* Effect.acquireRelease(
    // An empty name is a file that SQLite makes, and nobody else sees.
    kept(() => new DatabaseSync("")),
    (database) => Effect.sync(() => database.close())
  )
  // One transaction for all, which nobody needs to see the end of: to begin one for each row would take longer than the row.
  yield* kept(() => database.exec(`${tables}; BEGIN`))
  return make(database)
})

const make = (database: DatabaseSync): Catalogue => {
  const insertThere = database.prepare("INSERT INTO there VALUES (?, ?, ?, ?, ?)")
  const selectThere = database.prepare("SELECT body FROM there WHERE place = ? AND hex = ? AND size = ?")
  const selectNamed = database.prepare("SELECT DISTINCT body FROM there WHERE place = ? AND name = ? LIMIT 100")
  const insertFound = database.prepare("INSERT OR IGNORE INTO found VALUES (?, ?, ?)")
  const selectFound = database.prepare("SELECT found FROM found WHERE place = ? AND id = ?")
  const insertImage = database.prepare("INSERT OR IGNORE INTO image VALUES (?, ?, ?, ?, ?, 0, ?)")
  const insertReference = database.prepare("INSERT INTO reference VALUES (?, ?)")
  const selectPlanned = database.prepare("SELECT 1 FROM image WHERE id = ? AND planned = 1")
  const countOf = {
    name: database.prepare("SELECT count(*) AS n FROM (SELECT 1 FROM image WHERE planned = 1 AND name = ? LIMIT 2)"),
    file: database.prepare("SELECT count(*) AS n FROM (SELECT 1 FROM image WHERE planned = 1 AND file = ? LIMIT 2)")
  }
  const raise = database.prepare(`
    UPDATE image SET rank = :rank WHERE rank = :rank - 1 AND planned = 1 AND EXISTS (
      SELECT 1 FROM reference JOIN image AS other ON other.id = reference.target
      WHERE reference.id = image.id AND other.id <> image.id AND other.planned = 1 AND other.rank >= :rank - 1)`)
  const selectPage = database.prepare(
    `SELECT rank, at, id, body FROM image WHERE (rank, at, id) > (?, ?, ?) ORDER BY rank, at, id LIMIT ${pageRows}`
  )

  return {
    addThere: (place, { digests, id, name = "", size }) =>
      kept(() => {
        const body = JSON.stringify({ id, name, digests } satisfies There)
        for (const hex of Object.values(digests)) insertThere.run(place, hex, size ?? -1, name, body)
      }),
    there: (place, { digests, size }) =>
      kept(() =>
        size === undefined ? [] : Object.values(digests).flatMap((hex) => thereOf(selectThere.all(place, hex, size)))
      ),
    named: (place, name) => kept(() => thereOf(selectNamed.all(place, name))),
    addFound: (place, id, found) => kept(() => void insertFound.run(place, id, found)),
    found: (place, id) => kept(() => selectFound.get(place, id)?.["found"] as string | undefined),
    add: (row, references) =>
      kept(() => {
        const { image, skip } = row
        const planned = skip === undefined ? 1 : 0
        const body = JSON.stringify(row)
        const { changes } = insertImage.run(
          image.id,
          Names.label(image),
          Names.fileKey(image),
          image.createdAt ?? "",
          planned,
          body
        )
        if (Number(changes) === 1) for (const target of references) insertReference.run(image.id, target)
      }),
    isPlanned: (id) => kept(() => selectPlanned.get(id) !== undefined),
    isUnique: (by, image) =>
      kept(() => Number(countOf[by].get(by === "name" ? Names.label(image) : Names.fileKey(image))?.["n"]) < 2),
    sort: kept(() => {
      let rank = 1
      while (rank <= longestChain && Number(raise.run({ rank }).changes) > 0) rank++
    }),
    page: (after) => kept(() => selectPage.all(after?.rank ?? -1, after?.at ?? "", after?.id ?? "").map(rowOf))
  }
}
