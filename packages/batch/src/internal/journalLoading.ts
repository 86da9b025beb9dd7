/**
 * The taking over of a manifest into the journal: as a whole, or not at all.
 */
import * as Uri from "../Uri.ts"
import type { JournalDatabase } from "./journalDatabase.ts"
import { type Given, type Row, states, type Told } from "./journalTables.ts"

/** Lines that have vanished from the manifest are kept, and left out of everything. */
const gone = -1

/** A line that has no size stands behind all that have. */
const unsized = -1

export class JournalLoading {
  readonly #db: JournalDatabase

  constructor(db: JournalDatabase) {
    this.#db = db
  }

  /** Whether the manifest of this content was taken over last, with nothing left out. */
  isLoaded(content: string): boolean {
    return this.#db.meta("content") === content
  }

  /** Begins to take a manifest over: a transaction that only `loadEnd` ends. */
  loadBegin(): void {
    this.#db.exec("BEGIN IMMEDIATE")
    this.#db.fence()
    this.#db.setMeta("loaded", this.#db.loaded + 1)
  }

  load(lines: ReadonlyArray<Given>, replan: boolean) {
    const loaded = this.#db.loaded
    const told: Array<Told> = []
    const count = { fresh: 0, same: 0, changed: 0, wrong: 0 }
    const find = this.#db.sql("SELECT seq, number, state, loaded, text FROM line WHERE id = ?")
    const insert = this.#db.sql(
      "INSERT INTO line (id, number, size, state, loaded, image, text) VALUES (?, ?, ?, 0, ?, ?, ?) ON CONFLICT DO NOTHING"
    )
    for (const { id, image, number, places, size, text } of lines) {
      const inserted = insert.run(id, number, size ?? unsized, loaded, image, text)
      if (inserted.changes === 1) {
        const taken = this.#claim(Number(inserted.lastInsertRowid), places, loaded)
        if (taken === undefined) {
          count.fresh++
          continue
        }
        this.#db.sql("DELETE FROM line WHERE id = ?").run(id)
        count.wrong++
        told.push({ kind: "wrong", number, field: "to", message: taken })
        continue
      }
      const row = find.get(id) as unknown as Row & { readonly loaded: number }
      if (row.loaded === loaded) {
        count.wrong++
        told.push({ kind: "wrong", number, field: "id", message: `"${id}" is the id of line ${row.number} already` })
        continue
      }
      const taken = this.#claim(row.seq, places, loaded)
      if (taken !== undefined) {
        count.wrong++
        told.push({ kind: "wrong", number, field: "to", message: taken })
      } else if (row.text === text) {
        count.same++
        const back = row.state === gone ? states.open : row.state
        this.#db
          .sql("UPDATE line SET number = ?, loaded = ?, state = ? WHERE seq = ?")
          .run(number, loaded, back, row.seq)
      } else {
        count.changed++
        told.push({ kind: "changed", number, field: "id", message: `"${id}" was another transfer in an earlier run` })
        if (replan) this.#change(row.seq, { number, size: size ?? unsized, loaded, image, text })
      }
    }
    return { ...count, told }
  }

  /** Takes the places of a line; says which one another line of this manifest has. */
  #claim(seq: number, places: ReadonlyArray<string>, loaded: number) {
    for (const name of places) {
      const other = this.#db
        .sql(
          "SELECT line.number AS number FROM place JOIN line USING (seq) WHERE name = ? AND place.loaded = ? AND seq <> ?"
        )
        .get(name, loaded, seq)
      if (other !== undefined) return `${Uri.shown(name)} is where line ${Number(other["number"])} writes to`
    }
    const take = this.#db.sql("INSERT OR REPLACE INTO place VALUES (?, ?, ?)")
    for (const name of places) take.run(name, seq, loaded)
    return undefined
  }

  /** The line is another one from here on, and is to be done. What was begun of it is still to be tidied up. */
  #change(seq: number, to: { number: number; size: number; loaded: number; image: string | null; text: string }): void {
    this.#db.sql("DELETE FROM before WHERE seq = ?").run(seq)
    if (this.#db.sql("DELETE FROM receipt WHERE seq = ?").run(seq).changes > 0) this.#db.setMeta("took back", 1)
    this.#db
      .sql(
        `UPDATE line SET number = ?, size = ?, loaded = ?, image = ?, text = ?,
       state = iif(state = ${states.begun}, state, ${states.open}) WHERE seq = ?`
      )
      .run(to.number, to.size, to.loaded, to.image, to.text, seq)
  }

  /**
   * Ends it: with what was read, or as if nothing had been. `try` leaves the transaction open, so that what follows sees
   * what was read, and nothing of it is ever noted. Gives the lines that are there no more, some of them by name.
   */
  loadEnd(how: "keep" | "forget" | "try", content: string | undefined) {
    if (how === "forget") {
      this.#db.exec("ROLLBACK")
      return { vanished: 0, told: [] as ReadonlyArray<Told> }
    }
    const loaded = this.#db.loaded
    const lost = `FROM line WHERE loaded < ${loaded} AND state >= 0`
    const told = this.#db
      .sql(`SELECT id, number, state ${lost} ORDER BY number LIMIT 20`)
      .all() as unknown as ReadonlyArray<Row>
    const { n } = this.#db.sql(`SELECT count(*) AS n ${lost}`).get() as { readonly n: number }
    // What has an end keeps it, for reports; what was begun is brought to its end.
    this.#db.sql(`UPDATE line SET state = ${gone} WHERE loaded < ${loaded} AND state = ${states.open}`).run()
    this.#db.setMeta("content", content ?? null)
    if (how === "keep") this.#db.exec("COMMIT")
    return {
      vanished: n,
      told: told.map(({ id, number }): Told => ({
        kind: "vanished",
        number,
        field: "id",
        message: `"${id}" is not in the manifest any more`
      }))
    }
  }
}
