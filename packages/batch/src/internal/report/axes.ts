/**
 * Where the marks of an axis stand, and what they say: at round values.
 */

export interface Mark {
  /** From 0 to 1. */
  readonly at: number
  readonly label: string
}

const unitNames = ["B", "KiB", "MiB", "GiB", "TiB"]

/** Three to five marks for amounts from 0 to `max`, and how far the axis goes. `binary`: bytes, with their unit. */
export const amounts = (
  max: number,
  suffix: string,
  binary: boolean
): { readonly top: number; readonly marks: ReadonlyArray<Mark> } => {
  const power = binary ? Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, max)) / 10))) : 0
  const unit = binary ? 1024 ** power : 1
  const highest = Math.max(max / unit, binary ? 0.001 : 1)
  const rough = highest / 4
  const decade = 10 ** Math.floor(Math.log10(rough))
  const fitting = [1, 2, 2.5, 5, 10].map((factor) => factor * decade).find((step) => step >= rough * 0.999)!
  const step = binary ? fitting : Math.max(1, Math.ceil(fitting))
  const steps = Math.max(1, Math.ceil(highest / step - 1e-9))
  const marks = Array.from({ length: steps + 1 }, (_, index): Mark => {
    const value = Number((index * step).toPrecision(6))
    const label = binary && index > 0 ? `${value} ${unitNames[power]!}${suffix}` : `${value.toLocaleString("en")}`
    return { at: index / steps, label }
  })
  return { top: steps * step * unit, marks }
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const timeSteps = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * second),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * minute),
  ...[1, 2, 3, 6, 12].map((n) => n * hour),
  ...[1, 2, 7, 14, 28, 91, 182, 364].map((n) => n * day)
]

const timeLabel = (time: number, step: number): string => {
  const iso = new Date(time).toISOString()
  if (step >= day) return iso.slice(0, 10)
  if (step >= minute) return time % day === 0 ? iso.slice(5, 10) : iso.slice(11, 16)
  return step >= second ? iso.slice(11, 19) : iso.slice(14, 23)
}

/** Marks for times of day, in UTC, seven at most. */
export const times = (from: number, to: number): ReadonlyArray<Mark> => {
  const length = Math.max(1, to - from)
  const step = timeSteps.find((one) => length / one <= 7) ?? Math.ceil(length / 7 / day) * day
  const marks: Array<Mark> = []
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    marks.push({ at: (time - from) / length, label: timeLabel(time, step) })
  }
  return marks
}

const durations: ReadonlyArray<readonly [ms: number, label: string, coarse: boolean]> = [
  [1, "1 ms", true],
  [3, "3 ms", false],
  [10, "10 ms", true],
  [30, "30 ms", false],
  [100, "100 ms", true],
  [300, "300 ms", false],
  [second, "1 s", true],
  [3 * second, "3 s", false],
  [10 * second, "10 s", true],
  [30 * second, "30 s", false],
  [minute, "1 min", true],
  [3 * minute, "3 min", false],
  [10 * minute, "10 min", true],
  [30 * minute, "30 min", false],
  [hour, "1 h", true],
  [3 * hour, "3 h", false],
  [10 * hour, "10 h", true],
  [day, "1 d", true],
  [10 * day, "10 d", true],
  [100 * day, "100 d", true]
]

/** Marks for durations on a logarithmic axis between two, which are not 0. */
export const logarithmic = (from: number, to: number): ReadonlyArray<Mark> => {
  const inside = durations.filter(([ms]) => ms >= from * 0.999 && ms <= to * 1.001)
  const shown = inside.length > 6 ? inside.filter(([, , coarse]) => coarse) : inside
  return shown.map(([ms, label]) => ({ at: Math.log(ms / from) / Math.log(to / from), label }))
}
