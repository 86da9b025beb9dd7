/**
 * The books of a run, in one thread. Nothing here waits: whoever calls has a thread for it.
 */
import type { Ended, Made, Standing } from "../Journal.ts"
import type { JournalDatabase } from "./journalDatabase.ts"
import { type Row, states } from "./journalTables.ts"

export class JournalStore {
  readonly #db: JournalDatabase
  /** Lines that this run has been given, and that have not ended. */
  readonly #handed = new Set<number>()
  /** The last of the lines that were given in the order of the manifest. */
  #last = 0
  /** What the running transaction makes of these, if it is made durable. */
  #ended: Array<number> = []
  #given: Array<number> = []
  #lastBefore = 0

  constructor(db: JournalDatabase) {
    this.#db = db
  }

  /** The transaction is durable. */
  committed(): void {
    for (const seq of this.#ended) this.#handed.delete(seq)
    this.#settled()
  }

  /** Nothing of it has happened. */
  rolledBack(): void {
    for (const seq of this.#given) this.#handed.delete(seq)
    this.#last = this.#lastBefore
    this.#settled()
  }

  #settled(): void {
    this.#ended = []
    this.#given = []
    this.#lastBefore = this.#last
  }

  counts() {
    const counted = this.#db
      .sql(
        `SELECT state, count(*) AS lines, sum(max(size, 0)) AS bytes, sum(size < 0) AS unsized FROM line
       WHERE state >= 0 AND (state <> ${states.failed} OR loaded = ${this.#db.loaded}) GROUP BY state`
      )
      .all() as unknown as ReadonlyArray<{
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
    return this.#db.sql("SELECT place, object, uri FROM made WHERE seq = ? ORDER BY place").all(seq)
  }

  #before(seq: number) {
    const row = this.#db.sql("SELECT json, wrong FROM before WHERE seq = ?").get(seq)
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
      for (const row of this.#db.sql(sql).iterate(...values)) {
        if (found.length >= limit) return
        const line = row as unknown as Row
        if (this.#handed.has(line.seq)) continue
        this.#give(line.seq)
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
    const row = this.#db
      .sql(
        `SELECT seq, id, number, text, state, begun FROM line WHERE id = ? AND state IN (${states.open}, ${states.begun})`
      )
      .get(id) as unknown as Row | undefined
    if (row === undefined || this.#handed.has(row.seq)) return undefined
    this.#give(row.seq)
    return this.#begin([row], now)[0]
  }

  #give(seq: number): void {
    this.#handed.add(seq)
    this.#given.push(seq)
  }

  /** What is handed out is begun, as far as anybody knows afterwards; since the first time. Gives them as they were. */
  #begin(rows: ReadonlyArray<Row>, now: number) {
    const begin = this.#db.sql("UPDATE line SET state = ?, begun = ? WHERE seq = ? AND state <> ?")
    const found = this.#withMade(rows)
    for (const { seq } of rows) begin.run(states.begun, now, seq, states.begun)
    return found
  }

  make(seq: number, { object, place, uri }: Made): void {
    this.#db
      .sql("INSERT OR IGNORE INTO made (seq, place, object, uri, epoch) VALUES (?, ?, ?, ?, ?)")
      .run(seq, place, object, uri, this.#db.epoch)
  }

  unmake(seq: number, { object, place }: Made): void {
    this.#db.sql("DELETE FROM made WHERE seq = ? AND place = ? AND object = ?").run(seq, place, object)
  }

  /**
   * What stands is nothing that was left, whichever run has begun it. `left`: what else was begun is still there, or may
   * be, and the receipt says so. What an earlier run has begun is forgotten only by its name: it may come into being after
   * it was looked for.
   */
  end(seq: number, { bytes, ending, left, objects, receipt }: Ended): void {
    this.#db.sql("UPDATE line SET state = ?, size = ? WHERE seq = ?").run(states[ending], bytes, seq)
    this.#stand(seq, objects)
    if (left) this.#db.sql("UPDATE made SET told = 1 WHERE seq = ? AND epoch = ?").run(seq, this.#db.epoch)
    else this.#forget(seq)
    this.#db.sql("INSERT OR REPLACE INTO receipt (seq, json) VALUES (?, ?)").run(seq, receipt)
    this.#db.sql("DELETE FROM before WHERE seq = ?").run(seq)
    this.#ended.push(seq)
  }

  /** What stands already goes on standing when the line is done again. */
  release(seq: number, left: boolean, standing: Standing | undefined): void {
    this.#db.sql("UPDATE line SET state = ? WHERE seq = ?").run(left ? states.begun : states.open, seq)
    if (standing !== undefined) {
      this.#stand(seq, standing.objects)
      this.#db.sql("INSERT OR REPLACE INTO before VALUES (?, ?, '[]')").run(seq, standing.receipt)
    }
    if (!left) this.#forget(seq)
  }

  #stand(seq: number, objects: ReadonlyArray<string>): void {
    for (const object of objects) {
      this.#db.sql("DELETE FROM made WHERE seq = ? AND object = ? COLLATE NOCASE").run(seq, object)
    }
  }

  #forget(seq: number): void {
    this.#db.sql("DELETE FROM made WHERE seq = ? AND epoch = ?").run(seq, this.#db.epoch)
  }

  /** What was begun of lines that have ended, or are not in the manifest any more, and was not there when it was looked for. */
  strays() {
    const lines = this.#db
      .sql(
        `SELECT seq, id, number, text, state, begun FROM line
         WHERE state NOT IN (${states.open}, ${states.begun}) AND seq IN (SELECT seq FROM made WHERE told = 0)`
      )
      .all() as unknown as ReadonlyArray<Row>
    // What a receipt says is left stays, beside what was not there.
    const missing = this.#db.sql("SELECT place, object, uri FROM made WHERE seq = ? AND told = 0 ORDER BY place")
    return lines.map((row) => Object.assign(row, { made: missing.all(row.seq), before: undefined }))
  }

  /** Takes receipts back, into `before`, and opens their lines. */
  #reopen(which: string, ...values: ReadonlyArray<number | string>): void {
    const lines = `SELECT seq FROM line WHERE ${which}`
    const kept = `INSERT OR REPLACE INTO before SELECT seq, json, '[]' FROM receipt WHERE seq IN (${lines})`
    if (this.#db.sql(kept).run(...values).changes === 0) return
    this.#db.sql(`DELETE FROM receipt WHERE seq IN (${lines})`).run(...values)
    this.#db.sql(`UPDATE line SET state = ${states.open} WHERE ${which}`).run(...values)
    this.#db.setMeta("took back", 1)
  }

  /** A line that the manifest has no more stays as it ended. */
  reopenFailed(ids: ReadonlyArray<string> | undefined): void {
    const failed = `state = ${states.failed} AND loaded = ${this.#db.loaded}`
    if (ids === undefined) return this.#reopen(failed)
    for (const id of ids) this.#reopen(`${failed} AND id = ?`, id)
  }

  reopen(id: string, wrong: string): void {
    // One that the manifest has no more stays as it ended: its place may be another line's.
    this.#reopen(`state IN (${states.done}, ${states.failed}) AND loaded = ${this.#db.loaded} AND id = ?`, id)
    const seq = this.#db.sql("SELECT seq FROM line WHERE id = ?").get(id)?.["seq"]
    const before = seq === undefined ? undefined : this.#before(Number(seq))
    if (before === undefined) return
    this.#db.sql("UPDATE before SET wrong = ? WHERE seq = ?").run(JSON.stringify([...before.wrong, wrong]), Number(seq))
  }

  tookBack(): boolean {
    return this.#db.meta("took back") === 1
  }

  copied(): void {
    this.#db.setMeta("took back", 0)
  }

  ofImage(image: string) {
    return this.#db
      .sql(
        `SELECT line.id, line.number, line.text, line.state, receipt.json AS receipt
       FROM line LEFT JOIN receipt USING (seq) WHERE line.image = ? AND line.state >= 0`
      )
      .all(image)
  }

  receipts(after: number, limit: number) {
    return this.#db
      .sql("SELECT number AS 'order', json AS receipt FROM receipt WHERE number > ? ORDER BY number LIMIT ?")
      .all(after, limit)
  }

  knows(id: string, receipt: string): boolean {
    const kept = (table: "receipt" | "before") =>
      this.#db.sql(`SELECT ${table}.json AS json FROM line JOIN ${table} USING (seq) WHERE line.id = ?`).get(id)?.[
        "json"
      ]
    return kept("receipt") === receipt || kept("before") === receipt
  }

  has(id: string): boolean {
    return this.#db.sql("SELECT 1 FROM line WHERE id = ?").get(id) !== undefined
  }

  verdictOf(id: string): string | undefined {
    const row = this.#db.sql("SELECT json FROM line JOIN receipt USING (seq) WHERE line.id = ?").get(id)
    return row === undefined ? undefined : String(row["json"])
  }

  stands(object: string): boolean {
    const inside = JSON.stringify({ id: object }).slice(1, -1)
    return this.#db.sql("SELECT 1 FROM receipt WHERE instr(json, ?) > 0 LIMIT 1").get(inside) !== undefined
  }

  receiptOf(id: string): number | undefined {
    return this.#db.sql("SELECT receipt.number AS n FROM line JOIN receipt USING (seq) WHERE line.id = ?").get(id)?.[
      "n"
    ] as number | undefined
  }

  /** Begins a transaction that is never ended well: what follows sees what was written in it, and nobody else ever does. */
  hold(): void {
    this.#db.exec("BEGIN IMMEDIATE")
    this.#db.fence()
  }
}
