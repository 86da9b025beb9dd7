/**
 * The journal's tables, and what is done with them, in one thread. Nothing here waits: whoever calls has a thread for it.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import type { Ended } from "../Journal.ts"
import { applicationId, format, type Given, Refusal, type Row, states, tables, type Told } from "./journalTables.ts"

/** Lines that have vanished from the manifest are kept, and left out of everything. */
const gone = -1

/** A line that has no size stands behind all that have. */
const unsized = -1

export class JournalStore {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  #epoch = 0
  /** Lines that this run has been given, and that have not ended. */
  readonly #handed = new Set<number>()
  /** The last of the lines that were given in the order of the manifest. */
  #last = 0

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#db.prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  #meta(key: string): unknown {
    return this.#sql("SELECT value FROM meta WHERE key = ?").get(key)?.["value"]
  }

  #setMeta(key: string, value: string | number | null): void {
    this.#sql("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value").run(key, value)
  }

  /** Looks whether this is a journal, and of this format; an empty file is `new`, and gets its tables to `write`. */
  prepare(how: "write" | "read" | "new"): void {
    const { application_id } = this.#sql("PRAGMA application_id").get() as { readonly application_id: number }
    const { user_version } = this.#sql("PRAGMA user_version").get() as { readonly user_version: number }
    if (application_id === applicationId) {
      if (user_version > format) {
        throw new Refusal("Newer", `its format is ${user_version}; this release knows formats up to ${format}`)
      }
      return
    }
    const { n } = this.#sql("SELECT count(*) AS n FROM sqlite_schema").get() as { readonly n: number }
    if (application_id !== 0 || user_version !== 0 || n > 0 || how === "read") {
      throw new Refusal("Foreign", "this is no journal of a batch")
    }
    if (how === "new") return
    this.#db.exec("BEGIN IMMEDIATE")
    this.#db.exec(tables)
    this.#db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${format}`)
    this.#db.exec("COMMIT")
  }

  /** A new epoch, from here on this connection's. */
  claim(): number {
    this.#epoch = Number(this.#meta("epoch") ?? 0) + 1
    this.#setMeta("epoch", this.#epoch)
    return this.#epoch
  }

  /** Says who writes, for whoever finds the journal taken. */
  setOwner(owner: string): void {
    this.#setMeta("owner", owner)
  }

  /** To be called in every transaction that writes. */
  fence(): void {
    if (Number(this.#meta("epoch") ?? 0) !== this.#epoch) {
      throw new Refusal("Lost", "another run has taken it over; this one ends")
    }
  }

  counts() {
    const counted = this.#sql(
      `SELECT state, count(*) AS lines, sum(max(size, 0)) AS bytes, sum(size < 0) AS unsized FROM line
       WHERE state >= 0 AND (state <> ${states.failed} OR loaded = ${this.#loaded}) GROUP BY state`
    ).all() as unknown as ReadonlyArray<{
      readonly state: number
      readonly lines: number
      readonly bytes: number
      readonly unsized: number
    }>
    const of = (state: number) => counted.find((row) => row.state === state)
    const both = [of(states.open), of(states.begun)]
    const sum = (key: "lines" | "bytes" | "unsized") => both.reduce((total, row) => total + (row?.[key] ?? 0), 0)
    return {
      open: sum("lines"),
      openBytes: sum("bytes"),
      openUnsized: sum("unsized"),
      done: of(states.done)?.lines ?? 0,
      failed: of(states.failed)?.lines ?? 0
    }
  }

  madeOf(seq: number) {
    return this.#sql("SELECT place, object FROM made WHERE seq = ? ORDER BY place").all(seq)
  }

  #before(seq: number) {
    const row = this.#sql("SELECT json, wrong FROM before WHERE seq = ?").get(seq)
    return row === undefined
      ? undefined
      : { receipt: String(row["json"]), wrong: JSON.parse(String(row["wrong"])) as ReadonlyArray<string> }
  }

  #withMade(rows: ReadonlyArray<Row>) {
    return rows.map((row) => Object.assign(row, { made: this.madeOf(row.seq), before: this.#before(row.seq) }))
  }

  /** Lines to be done, none twice. */
  next(order: "listed" | "largest", end: "first" | "last", limit: number, now: number) {
    const found: Array<Row> = []
    const collect = (sql: string, ...values: ReadonlyArray<number>) => {
      for (const row of this.#sql(sql).iterate(...values)) {
        if (found.length >= limit) return
        const line = row as unknown as Row
        if (this.#handed.has(line.seq)) continue
        this.#handed.add(line.seq)
        if (order === "listed" && line.state === states.open) this.#last = line.seq
        found.push(line)
      }
    }
    const columns = "SELECT seq, id, number, text, state, begun FROM line WHERE state"
    // Of these something may be left: whatever the order is, they are the first.
    collect(`${columns} = ${states.begun} ORDER BY size DESC, seq`)
    // Of those before it none is open that has not been given; not by the index, which knows another order.
    if (order === "listed")
      collect(
        `SELECT seq, id, number, text, state, begun FROM line WHERE +state = 0 AND seq > ? ORDER BY seq`,
        this.#last
      )
    else if (end === "first") collect(`${columns} = ${states.open} ORDER BY size DESC, seq`)
    else collect(`${columns} = ${states.open} ORDER BY size ASC, seq DESC`)
    return this.#begin(found, now)
  }

  take(id: string, now: number) {
    const row = this.#sql(
      `SELECT seq, id, number, text, state, begun FROM line WHERE id = ? AND state IN (${states.open}, ${states.begun})`
    ).get(id) as unknown as Row | undefined
    if (row === undefined || this.#handed.has(row.seq)) return undefined
    this.#handed.add(row.seq)
    return this.#begin([row], now)[0]
  }

  /** What is handed out is begun, as far as anybody knows afterwards. Gives them as they were. */
  #begin(rows: ReadonlyArray<Row>, now: number) {
    const begin = this.#sql("UPDATE line SET state = ?, begun = ? WHERE seq = ?")
    const found = this.#withMade(rows)
    for (const { seq } of rows) begin.run(states.begun, now, seq)
    return found
  }

  make(seq: number, place: number, object: string): void {
    this.#sql("INSERT OR IGNORE INTO made VALUES (?, ?, ?, ?)").run(seq, place, object, this.#epoch)
  }

  unmake(seq: number, place: number, object: string): void {
    this.#sql("DELETE FROM made WHERE seq = ? AND place = ? AND object = ?").run(seq, place, object)
  }

  /**
   * What stands is nothing that was left, whichever run has begun it. `left`: what else was begun is still there, or may
   * be. What an earlier run has begun is forgotten only by its name: it may come into being after it was looked for.
   */
  end(seq: number, { bytes, ending, left, objects, receipt }: Ended): void {
    this.#sql("UPDATE line SET state = ?, size = ? WHERE seq = ?").run(states[ending], bytes, seq)
    for (const object of objects)
      this.#sql("DELETE FROM made WHERE seq = ? AND object = ? COLLATE NOCASE").run(seq, object)
    if (!left) this.#forget(seq)
    this.#sql("INSERT OR REPLACE INTO receipt (seq, json) VALUES (?, ?)").run(seq, receipt)
    this.#sql("DELETE FROM before WHERE seq = ?").run(seq)
    this.#handed.delete(seq)
  }

  release(seq: number, keep: boolean): void {
    this.#sql("UPDATE line SET state = ? WHERE seq = ?").run(keep ? states.begun : states.open, seq)
    if (!keep) this.#forget(seq)
  }

  #forget(seq: number): void {
    this.#sql("DELETE FROM made WHERE seq = ? AND epoch = ?").run(seq, this.#epoch)
  }

  /** What was begun of lines that are done, and was not there when it was looked for. */
  strays() {
    return this.#withMade(
      this.#sql(
        `SELECT seq, id, number, text, state, begun FROM line
         WHERE state = ${states.done} AND seq IN (SELECT seq FROM made)`
      ).all() as unknown as ReadonlyArray<Row>
    )
  }

  /** Takes receipts back, into `before`, and opens their lines. */
  #reopen(which: string, ...values: ReadonlyArray<number | string>): void {
    const lines = `SELECT seq FROM line WHERE ${which}`
    const kept = `INSERT OR REPLACE INTO before SELECT seq, json, '[]' FROM receipt WHERE seq IN (${lines})`
    if (this.#sql(kept).run(...values).changes === 0) return
    this.#sql(`DELETE FROM receipt WHERE seq IN (${lines})`).run(...values)
    this.#sql(`UPDATE line SET state = ${states.open} WHERE ${which}`).run(...values)
    this.#setMeta("took back", 1)
  }

  /** A line that the manifest has no more stays as it ended. */
  reopenFailed(ids: ReadonlyArray<string> | undefined): void {
    const failed = `state = ${states.failed} AND loaded = ${this.#loaded}`
    if (ids === undefined) return this.#reopen(failed)
    for (const id of ids) this.#reopen(`${failed} AND id = ?`, id)
  }

  reopen(id: string, wrong: string): void {
    this.#reopen(`state IN (${states.done}, ${states.failed}) AND id = ?`, id)
    const seq = this.#sql("SELECT seq FROM line WHERE id = ?").get(id)?.["seq"]
    const before = seq === undefined ? undefined : this.#before(Number(seq))
    if (before === undefined) return
    this.#sql("UPDATE before SET wrong = ? WHERE seq = ?").run(JSON.stringify([...before.wrong, wrong]), Number(seq))
  }

  tookBack(): boolean {
    return this.#meta("took back") === 1
  }

  copied(): void {
    this.#setMeta("took back", 0)
  }

  ofImage(image: string) {
    return this.#sql(
      `SELECT line.id, line.number, line.text, line.state, receipt.json AS receipt
       FROM line LEFT JOIN receipt USING (seq) WHERE line.image = ? AND line.state >= 0`
    ).all(image)
  }

  receipts(after: number, limit: number) {
    return this.#sql(
      "SELECT number AS 'order', json AS receipt FROM receipt WHERE number > ? ORDER BY number LIMIT ?"
    ).all(after, limit)
  }

  knows(id: string, receipt: string): boolean {
    const kept = (table: "receipt" | "before") =>
      this.#sql(`SELECT ${table}.json AS json FROM line JOIN ${table} USING (seq) WHERE line.id = ?`).get(id)?.["json"]
    return kept("receipt") === receipt || kept("before") === receipt
  }

  has(id: string): boolean {
    return this.#sql("SELECT 1 FROM line WHERE id = ?").get(id) !== undefined
  }

  receiptOf(id: string): number | undefined {
    return this.#sql("SELECT receipt.number AS n FROM line JOIN receipt USING (seq) WHERE line.id = ?").get(id)?.[
      "n"
    ] as number | undefined
  }

  /** Whether the manifest of this content was taken over last, with nothing left out. */
  isLoaded(content: string): boolean {
    return this.#meta("content") === content
  }

  /** Begins a transaction that is never ended well: what follows sees what was written in it, and nobody else ever does. */
  hold(): void {
    this.#db.exec("BEGIN IMMEDIATE")
    this.fence()
  }

  /** Begins to take a manifest over: a transaction that only `loadEnd` ends. */
  loadBegin(): void {
    this.#db.exec("BEGIN IMMEDIATE")
    this.fence()
    this.#setMeta("loaded", this.#loaded + 1)
  }

  get #loaded(): number {
    return Number(this.#meta("loaded") ?? 0)
  }

  load(lines: ReadonlyArray<Given>, replan: boolean) {
    const loaded = this.#loaded
    const told: Array<Told> = []
    const count = { fresh: 0, same: 0, changed: 0, wrong: 0 }
    const find = this.#sql("SELECT seq, number, state, loaded, text FROM line WHERE id = ?")
    const insert = this.#sql(
      "INSERT INTO line (id, number, size, state, loaded, image, text) VALUES (?, ?, ?, 0, ?, ?, ?) ON CONFLICT DO NOTHING"
    )
    for (const { id, image, number, places, size, text } of lines) {
      const inserted = insert.run(id, number, size ?? unsized, loaded, image, text)
      if (inserted.changes === 1) {
        const other = this.#claim(Number(inserted.lastInsertRowid), places, loaded)
        if (other === undefined) {
          count.fresh++
          continue
        }
        this.#sql("DELETE FROM line WHERE id = ?").run(id)
        count.wrong++
        told.push({
          kind: "wrong",
          number,
          field: "to",
          message: `${other.name} is where line ${other.number} writes to`
        })
        continue
      }
      const row = find.get(id) as unknown as Row & { readonly loaded: number }
      if (row.loaded === loaded) {
        count.wrong++
        told.push({ kind: "wrong", number, field: "id", message: `"${id}" is the id of line ${row.number} already` })
      } else if (row.text === text) {
        count.same++
        this.#claim(row.seq, places, loaded)
        const back = row.state === gone ? states.open : row.state
        this.#sql("UPDATE line SET number = ?, loaded = ?, state = ? WHERE seq = ?").run(number, loaded, back, row.seq)
      } else {
        count.changed++
        told.push({ kind: "changed", number, field: "id", message: `"${id}" was another transfer in an earlier run` })
        if (replan) this.#change(row.seq, { number, size: size ?? unsized, loaded, image, text })
      }
    }
    return { ...count, told }
  }

  /** Takes the places of a line; gives the one that another line of this manifest has. */
  #claim(seq: number, places: ReadonlyArray<string>, loaded: number) {
    for (const name of places) {
      const other = this.#sql(
        "SELECT line.number AS number FROM place JOIN line USING (seq) WHERE name = ? AND place.loaded = ? AND seq <> ?"
      ).get(name, loaded, seq)
      if (other !== undefined) return { name, number: Number(other["number"]) }
    }
    const take = this.#sql("INSERT OR REPLACE INTO place VALUES (?, ?, ?)")
    for (const name of places) take.run(name, seq, loaded)
    return undefined
  }

  /** The line is another one from here on, and is to be done. What was begun of it is still to be tidied up. */
  #change(seq: number, to: { number: number; size: number; loaded: number; image: string | null; text: string }): void {
    this.#sql("DELETE FROM before WHERE seq = ?").run(seq)
    if (this.#sql("DELETE FROM receipt WHERE seq = ?").run(seq).changes > 0) this.#setMeta("took back", 1)
    this.#sql(
      `UPDATE line SET number = ?, size = ?, loaded = ?, image = ?, text = ?,
       state = iif(state = ${states.begun}, state, ${states.open}) WHERE seq = ?`
    ).run(to.number, to.size, to.loaded, to.image, to.text, seq)
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
    const loaded = this.#loaded
    const lost = `FROM line WHERE loaded < ${loaded} AND state >= 0`
    const told = this.#sql(
      `SELECT id, number, state ${lost} ORDER BY number LIMIT 20`
    ).all() as unknown as ReadonlyArray<Row>
    const { n } = this.#sql(`SELECT count(*) AS n ${lost}`).get() as { readonly n: number }
    // What has an end keeps it, for reports; what was begun is brought to its end.
    this.#sql(`UPDATE line SET state = ${gone} WHERE loaded < ${loaded} AND state = ${states.open}`).run()
    this.#setMeta("content", content ?? null)
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
