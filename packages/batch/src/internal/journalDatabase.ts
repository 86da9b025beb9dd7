/**
 * The journal's database: its prepared statements, the values that are kept by name, and who may write.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { applicationId, format, Refusal, tables } from "./journalTables.ts"

export class JournalDatabase {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  /** This connection's, once it has one. */
  epoch = 0

  constructor(db: DatabaseSync) {
    this.#db = db
  }

  exec(text: string): void {
    this.#db.exec(text)
  }

  sql(text: string): StatementSync {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#db.prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  meta(key: string): unknown {
    return this.sql("SELECT value FROM meta WHERE key = ?").get(key)?.["value"]
  }

  setMeta(key: string, value: string | number | null): void {
    this.sql("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value").run(key, value)
  }

  /** Looks whether this is a journal, and of this format; an empty file is `new`, and gets its tables to `write`. */
  prepare(how: "write" | "read" | "new"): void {
    const { application_id } = this.sql("PRAGMA application_id").get() as { readonly application_id: number }
    const { user_version } = this.sql("PRAGMA user_version").get() as { readonly user_version: number }
    if (application_id === applicationId) {
      if (user_version > format) {
        throw new Refusal("Newer", `its format is ${user_version}; this release knows formats up to ${format}`)
      }
      return
    }
    const { n } = this.sql("SELECT count(*) AS n FROM sqlite_schema").get() as { readonly n: number }
    if (application_id !== 0 || user_version !== 0 || n > 0 || how === "read") {
      throw new Refusal("Foreign", "this is no journal of a batch")
    }
    if (how === "new") return
    this.exec("BEGIN IMMEDIATE")
    this.exec(tables)
    this.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${format}`)
    this.exec("COMMIT")
  }

  /** A new epoch, from here on this connection's. */
  claim(): number {
    this.epoch = Number(this.meta("epoch") ?? 0) + 1
    this.setMeta("epoch", this.epoch)
    return this.epoch
  }

  /** Says who writes, for whoever finds the journal taken. */
  setOwner(owner: string): void {
    this.setMeta("owner", owner)
  }

  /** To be called in every transaction that writes. */
  fence(): void {
    if (Number(this.meta("epoch") ?? 0) !== this.epoch) {
      throw new Refusal("Lost", "another run has taken it over; this one ends")
    }
  }

  /** Counts the manifests that were taken over. */
  get loaded(): number {
    return Number(this.meta("loaded") ?? 0)
  }
}
