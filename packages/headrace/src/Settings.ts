/**
 * The settings of an upload as people and programs write them, read into what the engine takes. Nothing is asked or
 * opened here; what is wrong is named, with what is allowed.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import { totalmem } from "node:os"
import { blockBytes } from "@headrace/core/BlockPool"
import { algorithms, hexDigits, isAlgorithm } from "@headrace/core/Digest"
import * as Quantity from "@headrace/core/Quantity"
import { isRate, type Rate } from "@headrace/core/Rate"
import type { Timetable } from "@headrace/core/Timetable"
import type { Algorithm, Digests } from "./Types.ts"

/**
 * A setting that cannot be used.
 *
 * @since 0.1.0
 * @category errors
 */
export class SettingError extends Data.TaggedError("SettingError")<{
  /** Its name: `limit`, `digest`, … */
  readonly setting: string
  /** What is wrong with it and what is allowed, in one line. */
  readonly message: string
}> {}

/**
 * Settings as they are given. A number is bytes a second, milliseconds or bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Given {
  readonly limit?: string | number | undefined
  /** Names, or lists of names between commas. */
  readonly digest?: ReadonlyArray<string> | undefined
  /** `ALGO:HEX` each. */
  readonly expect?: ReadonlyArray<string> | undefined
  readonly verify?: string | undefined
  readonly retries?: string | number | undefined
  readonly stall?: string | number | undefined
  readonly answer?: string | number | undefined
  readonly memory?: string | number | undefined
  readonly hasher?: string | undefined
}

/**
 * Settings as the engine takes them; what was not given is not there, and the engine's default holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly limit?: Rate | Timetable
  readonly digest: ReadonlyArray<Algorithm>
  readonly expect: Digests
  readonly verify?: "transfer" | "source" | "destination"
  readonly retries?: number
  readonly stallMs?: number
  readonly answerMs?: number
  readonly memoryBytes?: number
  readonly hasher?: "wasm" | "native"
}

const names = algorithms.join(", ")

/** A transfer is never denied four blocks, so a smaller pool would wait for ever. */
const leastMemory = 4 * blockBytes

/** Timers of the platform count milliseconds in 31 bits. */
const mostMillis = 24 * 86_400_000

const wrong = (setting: string, message: string) => Result.fail(new SettingError({ setting, message }))

const quantity = <A>(setting: string, result: Result.Result<A, Quantity.QuantityError>) =>
  Result.mapError(result, ({ message }) => new SettingError({ setting, message }))

const limit = (given: string | number): Result.Result<Rate | Timetable, SettingError> => {
  if (typeof given === "number") {
    return isRate(given)
      ? Result.succeed(given)
      : wrong("limit", `${given} is not a rate: write a number of bytes a second above 0, or a text such as 50MiB/s`)
  }
  return given.includes(",")
    ? quantity("limit", Quantity.parseTimetable(given))
    : quantity("limit", Quantity.parseRate(given))
}

/**
 * Reads a list of algorithms: names, or lists of names between commas, each once.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseDigests = (given: ReadonlyArray<string>): Result.Result<ReadonlyArray<Algorithm>, SettingError> =>
  Result.gen(function* () {
    const found = new Set<Algorithm>()
    for (const word of given.flatMap((list) => list.split(",")).map((name) => name.trim())) {
      if (!isAlgorithm(word)) return yield* wrong("digest", `"${word}" is not an algorithm: write some of ${names}`)
      found.add(word)
    }
    return [...found]
  })

const expected = (given: ReadonlyArray<string>): Result.Result<Digests, SettingError> =>
  Result.gen(function* () {
    const found: { [A in Algorithm]?: string } = {}
    for (const text of given) {
      const colon = text.indexOf(":")
      const name = text.slice(0, Math.max(0, colon))
      const hex = text.slice(colon + 1).toLowerCase()
      if (!isAlgorithm(name)) {
        return yield* wrong("expect", `"${text}" is not ALGO:HEX: write one of ${names}, a colon and the digest in hex`)
      }
      if (!/^[0-9a-f]+$/.test(hex) || hex.length !== hexDigits[name]) {
        const is = /^[0-9a-f]*$/.test(hex) ? `${hex.length}` : "other characters"
        return yield* wrong("expect", `a ${name} has ${hexDigits[name]} hexadecimal digits, this one has ${is}`)
      }
      if (found[name] !== undefined && found[name] !== hex) return yield* wrong("expect", `${name} is given twice`)
      found[name] = hex
    }
    return found
  })

const oneOf = <const A extends string>(
  setting: string,
  given: string,
  allowed: ReadonlyArray<A>
): Result.Result<A, SettingError> => {
  const found = allowed.find((word) => word === given)
  return found === undefined ? wrong(setting, `"${given}" is not one of ${allowed.join(", ")}`) : Result.succeed(found)
}

const retries = (given: string | number): Result.Result<number, SettingError> => {
  const value = typeof given === "string" && !/^\d+$/.test(given) ? NaN : Number(given)
  return Number.isInteger(value) && value >= 0 && value <= 1_000_000
    ? Result.succeed(value)
    : wrong("retries", `"${given}" is not a number of attempts: write a whole number from 0 to 1000000`)
}

const millis = (setting: string, given: string | number): Result.Result<number, SettingError> =>
  Result.gen(function* () {
    const value = typeof given === "number" ? given : yield* quantity(setting, Quantity.parseDuration(given))
    return value >= 1 && value <= mostMillis
      ? Math.ceil(value)
      : yield* wrong(setting, `"${given}" is out of range: write 1ms to 24d`)
  })

const memory = (given: string | number): Result.Result<number, SettingError> =>
  Result.gen(function* () {
    const value = typeof given === "number" ? given : yield* quantity("memory", Quantity.parseSize(given))
    if (!(value >= leastMemory)) {
      return yield* wrong("memory", `"${given}" is too little: write at least ${leastMemory / blockBytes}MiB`)
    }
    if (value > totalmem()) {
      return yield* wrong("memory", `"${given}" is more than this machine has (${Quantity.formatBytes(totalmem())})`)
    }
    return Math.floor(value)
  })

const ifGiven = <A, B, E>(
  given: A | undefined,
  read: (given: A) => Result.Result<B, E>
): Result.Result<B | undefined, E> => (given === undefined ? Result.succeed(undefined) : read(given))

/**
 * Reads all settings; the first that is wrong is the error.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (given: Given): Result.Result<Settings, SettingError> =>
  Result.gen(function* () {
    const found = {
      limit: yield* ifGiven(given.limit, limit),
      verify: yield* ifGiven(given.verify, (word) => oneOf("verify", word, ["transfer", "source", "destination"])),
      retries: yield* ifGiven(given.retries, retries),
      stallMs: yield* ifGiven(given.stall, (value) => millis("stall", value)),
      answerMs: yield* ifGiven(given.answer, (value) => millis("answer", value)),
      memoryBytes: yield* ifGiven(given.memory, memory),
      hasher: yield* ifGiven(given.hasher, (word) => oneOf("hasher", word, ["wasm", "native"]))
    }
    return {
      digest: yield* parseDigests(given.digest ?? []),
      expect: yield* expected(given.expect ?? []),
      ...present(found)
    }
  })

/** The entries that are not `undefined`. */
const present = <A extends object>(values: A): { readonly [K in keyof A]?: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    readonly [K in keyof A]?: Exclude<A[K], undefined>
  }
