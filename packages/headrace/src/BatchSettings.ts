/**
 * The settings of a batch as people and programs write them, besides those of its transfers (`Settings`).
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Quantity from "@headrace/core/Quantity"
import { SettingError } from "./Settings.ts"

/**
 * As they are given. A number of `deadline` is milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Given {
  readonly concurrency?: string | number | undefined
  readonly order?: string | undefined
  readonly maxFailures?: string | number | undefined
  readonly deadline?: string | number | undefined
  /** Ids, or lists of ids between commas. */
  readonly only?: ReadonlyArray<string> | undefined
  readonly metrics?: string | number | undefined
}

/**
 * As the batch takes them.
 *
 * @since 0.1.0
 * @category models
 */
export interface BatchSettings {
  readonly concurrency: number | "auto"
  readonly order: "listed" | "largest"
  readonly maxFailures: number | undefined
  readonly deadlineMs: number | undefined
  readonly only: ReadonlyArray<string> | undefined
  readonly metricsPort: number | undefined
}

const wrong = (setting: string, message: string): Result.Result<never, SettingError> =>
  Result.fail(new SettingError({ setting, message }))

const whole = (setting: string, given: string | number, least: number, most: number, what: string) => {
  const value = typeof given === "string" && !/^\d+$/.test(given) ? NaN : Number(given)
  return Number.isInteger(value) && value >= least && value <= most
    ? Result.succeed(value)
    : wrong(setting, `"${given}" is not ${what} from ${least} to ${most}`)
}

const duration = (given: string | number): Result.Result<number, SettingError> => {
  if (typeof given === "number") return given >= 1 ? Result.succeed(given) : wrong("deadline", "write 1 ms or more")
  const parsed = Quantity.parseDuration(given)
  return Result.isFailure(parsed)
    ? wrong("deadline", parsed.failure.message)
    : parsed.success >= 1
      ? Result.succeed(Math.ceil(parsed.success))
      : wrong("deadline", `"${given}" is over at once: write 1s or more`)
}

const idsOf = (given: ReadonlyArray<string>): Result.Result<ReadonlyArray<string>, SettingError> => {
  const ids = given.flatMap((list) => list.split(",")).map((id) => id.trim())
  return ids.includes("") ? wrong("only", "an id is empty: write ids between commas") : Result.succeed(ids)
}

/**
 * Reads them; the first that is wrong is the error.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (given: Given): Result.Result<BatchSettings, SettingError> =>
  Result.gen(function* () {
    const { concurrency = "auto", deadline, maxFailures, metrics, only = [], order = "largest" } = given
    if (order !== "largest" && order !== "listed") {
      return yield* wrong("order", `"${order}" is not one of listed, largest`)
    }
    return {
      concurrency:
        concurrency === "auto" ? concurrency : yield* whole("concurrency", concurrency, 1, 10_000, "auto or a number"),
      order,
      maxFailures:
        maxFailures === undefined
          ? undefined
          : yield* whole("max-failures", maxFailures, 1, 1_000_000_000, "a number of lines"),
      deadlineMs: deadline === undefined ? undefined : yield* duration(deadline),
      only: only.length === 0 ? undefined : yield* idsOf(only),
      metricsPort: metrics === undefined ? undefined : yield* whole("metrics", metrics, 0, 65_535, "a port")
    }
  })
