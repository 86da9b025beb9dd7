/**
 * A counter with labels: one series for each set of their values, as many as stay readable.
 */
import type * as Context from "effect/Context"
import type * as Metric from "effect/Metric"

/** Series of one counter; what comes beyond is counted together, as `other`. */
const most = 200

export class Series {
  readonly #make: (attributes: Metric.Metric.AttributeSet) => Metric.Counter<number>
  readonly #labels: ReadonlyArray<string>
  readonly #context: Context.Context<never>
  readonly #series = new Map<string, Metric.Counter<number>>()

  constructor(
    make: (attributes: Metric.Metric.AttributeSet) => Metric.Counter<number>,
    labels: ReadonlyArray<string>,
    context: Context.Context<never>
  ) {
    this.#make = make
    this.#labels = labels
    this.#context = context
  }

  add(value: number, ...values: ReadonlyArray<string>): void {
    this.#of(values).updateUnsafe(value, this.#context)
  }

  #of(values: ReadonlyArray<string>): Metric.Counter<number> {
    const key = values.join("\n")
    const known = this.#series.get(key)
    if (known !== undefined) return known
    const full = this.#series.size >= most
    if (full && values.some((value) => value !== "other")) return this.#of(values.map(() => "other"))
    const made = this.#make(Object.fromEntries(this.#labels.map((label, i) => [label, values[i]!])))
    this.#series.set(key, made)
    return made
  }
}
