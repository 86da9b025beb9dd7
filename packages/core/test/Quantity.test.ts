import { assert, describe, it } from "@effect/vitest"
import * as Quantity from "@headrace/core/Quantity"
import * as Result from "effect/Result"

const error = <A>(result: Result.Result<A, Quantity.QuantityError>): string => {
  assert.isTrue(Result.isFailure(result))
  const message = Result.getOrThrow(Result.flip(result)).message
  assert.notInclude(message, "\n")
  return message
}

describe("sizes", () => {
  it.each([
    ["0", 0],
    ["1048576", 1048576],
    ["7B", 7],
    ["1kB", 1000],
    ["16MiB", 16 * 2 ** 20],
    ["1.5GiB", 1.5 * 2 ** 30],
    [" 2 TiB ", 2 * 2 ** 40],
    ["3GB", 3e9],
    ["4TB", 4e12],
    ["5MB", 5e6],
    ["6KiB", 6144]
  ])("%s", (text, bytes) => assert.strictEqual(Result.getOrThrow(Quantity.parseSize(text)), bytes))

  it.each(["", "MiB", "-1", "1 2", "1Mib", "1mb", "1e3", "0x10", "16MiB/s", "1kb", "toString", "99999999TiB"])(
    "refuses %j and says what is allowed",
    (text) => assert.match(error(Quantity.parseSize(text)), /is not a size: write .*TiB/)
  )
})

describe("rates", () => {
  it.each([
    ["50MiB/s", 50 * 2 ** 20],
    ["1kB/s", 1000],
    ["800/s", 800],
    ["400Mbit/s", 50e6],
    ["8kbit/s", 1000],
    ["1Gbit/s", 125e6],
    ["80bit/s", 10],
    ["off", "off"]
  ] as const)("%s", (text, rate) => assert.strictEqual(Result.getOrThrow(Quantity.parseRate(text)), rate))

  it.each(["", "50MiB", "50MiB/h", "0MiB/s", "fast", "/s", "-5MiB/s", "400Mbits/s"])(
    "refuses %j and says what is allowed",
    (text) => assert.match(error(Quantity.parseRate(text)), /is not a rate: write .*off/)
  )
})

describe("durations", () => {
  it.each([
    ["250ms", 250],
    ["60s", 60_000],
    ["15m", 900_000],
    ["1h30m", 5_400_000],
    ["1.5d", 129_600_000],
    ["0s", 0]
  ] as const)("%s", (text, millis) => assert.strictEqual(Result.getOrThrow(Quantity.parseDuration(text)), millis))

  it.each(["", "60", "s", "1 s", "-1s", "1w", "1h30", "9e9d"])("refuses %j and says what is allowed", (text) =>
    assert.match(error(Quantity.parseDuration(text)), /is not a duration: write numbers with ms, s, m, h or d/)
  )
})

describe("timetables", () => {
  it("are sorted by time", () =>
    assert.deepStrictEqual(Result.getOrThrow(Quantity.parseTimetable(" 19:00,off  08:30,50MiB/s ")), [
      { minute: 510, rate: 50 * 2 ** 20 },
      { minute: 1140, rate: "off" }
    ]))

  it.each([
    ["", /08:00,50MiB\/s 19:00,off/],
    ["08:00", /"08:00" is not a timetable's entry/],
    ["24:00,off", /"24:00,off" is not a timetable's entry/],
    ["08:60,off", /is not a timetable's entry/],
    ["08:00,50MiB", /"50MiB" is not a rate/],
    ["08:00,off 8:00,1MB/s", /each time once/]
  ])("refuses %j", (text, message) => assert.match(error(Quantity.parseTimetable(text)), message))
})

describe("for people", () => {
  it("bytes", () =>
    assert.deepStrictEqual(
      [0, 1023, 1024, 1536, 10_239, 1_048_575, 2 ** 20, 1.5 * 2 ** 30, 2 ** 50].map(Quantity.formatBytes),
      ["0 B", "1023 B", "1.00 KiB", "1.50 KiB", "10.0 KiB", "1.00 MiB", "1.00 MiB", "1.50 GiB", "1024 TiB"]
    ))

  it("rates", () => {
    assert.strictEqual(Quantity.formatRate("off"), "off")
    assert.strictEqual(Quantity.formatRate(50 * 2 ** 20), "50.0 MiB/s")
    assert.strictEqual(Quantity.formatRate(312 * 2 ** 20), "312 MiB/s")
  })

  it("durations", () =>
    assert.deepStrictEqual(
      [0, 350, 999.6, 5120, 59_949, 59_950, 125_000, 3_599_499, 3_600_000, 3_725_000, 86_369_999, 273_600_000].map(
        Quantity.formatDuration
      ),
      ["0ms", "350ms", "1.0s", "5.1s", "59.9s", "1m00s", "2m05s", "59m59s", "1h00m", "1h02m", "23h59m", "3d04h"]
    ))

  it("what is written can be read again", () => {
    for (let exponent = 0; exponent < 45; exponent += 0.37) {
      const bytes = Math.round(2 ** exponent)
      const again = Result.getOrThrow(Quantity.parseSize(Quantity.formatBytes(bytes)))
      assert.isAtMost(Math.abs(again - bytes), bytes * 0.006)
      const millis = Math.round(2 ** (exponent * 0.75))
      const reread = Result.getOrThrow(Quantity.parseDuration(Quantity.formatDuration(millis)))
      assert.isAtMost(Math.abs(reread - millis), millis * 0.03)
    }
  })
})
