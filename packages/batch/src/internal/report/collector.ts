/**
 * Sums receipts up while they pass. Of how a line stands, its latest receipt says; bytes that were sent, times and retries
 * are those of all receipts, for all of it happened.
 */
import type * as Receipt from "@headrace/core/Receipt"
import { placeOf } from "../../Metrics.ts"
import type { Failure, Place, Report, Size, Slow } from "../../Report.ts"
import * as Uri from "../../Uri.ts"
import * as Tally from "../run/tally.ts"
import { Counts, Reasons } from "./counts.ts"
import * as Entries from "./entries.ts"
import type { Read } from "./reading.ts"
import { Spread, within } from "./spread.ts"
import { Standings } from "./standings.ts"
import { Timeline } from "./timeline.ts"

/** What is kept one by one. */
const mostFailures = 10_000
const mostWrong = 20
const mostSlow = 20
const mostPlaces = 200

/** Characters of a message, and of an id or a URI, that are kept. */
const messageLength = 1000
const nameLength = 2000

const ways: ReadonlyArray<Tally.Standing> = ["verified", "stored", "skipped", "failed", "cancelled"]

const isBad = ({ status }: Receipt.Destination): boolean => status === "failed" || status === "cancelled"

const cut = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length)}…` : text)

/** Sizes are told apart by powers of four from 1 KiB. */
const sizeClassOf = (bytes: number): number =>
  bytes === 0 ? 0 : 1 + Math.max(0, Math.floor(Math.log2(bytes / 1024) / 2) + 1)

const sizeBegin = (index: number): number => (index === 0 ? 0 : index === 1 ? 1 : 1024 * 4 ** (index - 2))

interface PlaceSums {
  good: number
  failed: number
  cancelled: number
  sent: number
  retries: number
  readonly times: Spread
}

/** Names are cut: what they were cut from need not stay in memory. */
const own = (text: string, length: number): string => Buffer.from(cut(text, length)).toString()

const failureOf = (id: string, { attempts, error, required, status, uri }: Receipt.Destination): Failure => ({
  id: own(id, nameLength),
  uri: own(Uri.shown(uri), nameLength),
  required,
  status: status === "failed" ? "failed" : "cancelled",
  reason: own(error!.reason, 100),
  message: own(error!.message, messageLength),
  ...(error!.status === undefined ? undefined : { code: error!.status }),
  ...(error!.ofSource === true ? { ofSource: true } : undefined),
  attempts,
  left: own(error!.left, nameLength)
})

export class Collector {
  readonly #read = { receipts: 0, events: 0, other: 0, repeated: 0, unchecked: 0, wrong: 0 }
  readonly #firstWrong: Array<{ readonly number: number; readonly why: string }> = []
  #cut: number | null = null
  readonly #lines = { verified: 0, stored: 0, skipped: 0, failed: 0, cancelled: 0 }
  #bytes = 0
  #sent = 0
  #attempts = 0
  #from = Infinity
  #to = -Infinity
  readonly #standings = new Standings()
  readonly #timeline = new Timeline()
  readonly #times = new Spread()
  readonly #sizes: Array<{ count: number; bytes: number }> = []
  #unsized = 0
  readonly #places = new Map<string, PlaceSums>()
  readonly #reasons = new Reasons()
  readonly #retries = new Counts(this.#reasons)
  readonly #failedLines = new Counts(this.#reasons)
  #badEnds = 0
  #alsoBad = 0
  /** By the line's id. */
  readonly #failures = new Map<string, ReadonlyArray<Failure>>()
  #kept = 0
  #slow: Array<Slow> = []

  add(read: Read): void {
    if (read._tag === "Broken") {
      if (read.cut) this.#cut = read.number
      else this.#wrong(read.number, read.why)
      return
    }
    const entry = Entries.of(read.value)
    if (entry._tag === "Receipt") this.#receipt(entry.receipt)
    else if (entry._tag === "Wrong") this.#wrong(read.number, entry.why)
    else this.#read[entry._tag === "Event" ? "events" : "other"]++
  }

  #wrong(number: number, why: string): void {
    this.#read.wrong++
    if (this.#firstWrong.length < mostWrong) this.#firstWrong.push({ number, why })
  }

  #receipt(receipt: Receipt.Receipt): void {
    this.#read.receipts++
    const before = this.#stand(receipt)
    if (before === undefined || before === "failed" || before === "cancelled") this.#size(receipt)
    for (const end of receipt.destinations) this.#end(receipt, end)
  }

  /** Counts how the line stands, and no longer how it stood. */
  #stand(receipt: Receipt.Receipt): Tally.Standing | undefined {
    const standing = Tally.standingOf(receipt)
    const bad = receipt.destinations.filter(isBad)
    // A line failed for what failed of it, if it was not only cancelled.
    const why =
      bad.find(({ required, status }) => required && status === standing) ?? bad.find(({ required }) => required)
    const reason = this.#reasons.indexOf(why?.error?.reason ?? "")
    const also = bad.filter(({ required }) => !required).length
    const now = { standing: ways.indexOf(standing), reason, bad: bad.length, also }
    const before = this.#standings.swap(receipt.id, now)
    if (before === "full") this.#read.unchecked++
    const stood = before === "full" ? undefined : before
    if (stood !== undefined) {
      this.#read.repeated++
      this.#lines[ways[stood.standing]!]--
      if (stood.reason !== 0) this.#failedLines.add(stood.reason, -1)
      this.#badEnds -= stood.bad
      this.#alsoBad -= stood.also
      this.#kept -= this.#failures.get(receipt.id)?.length ?? 0
      this.#failures.delete(receipt.id)
    }
    this.#lines[standing]++
    if (reason !== 0) this.#failedLines.add(reason, 1)
    this.#badEnds += Math.min(255, bad.length)
    this.#alsoBad += Math.min(255, also)
    if (bad.length > 0) this.#keep(receipt.id, bad)
    return stood === undefined ? undefined : ways[stood.standing]
  }

  #keep(id: string, bad: ReadonlyArray<Receipt.Destination>): void {
    const room = mostFailures - this.#kept
    if (room <= 0) return
    const kept = bad.slice(0, room).map((end) => failureOf(id, end))
    this.#failures.set(own(id, Infinity), kept)
    this.#kept += kept.length
  }

  /** Of a line that has come to a good end, once. */
  #size(receipt: Receipt.Receipt): void {
    const standing = Tally.standingOf(receipt)
    if (standing === "failed" || standing === "cancelled") return
    const { size } = receipt.source
    if (size === null) {
      this.#unsized++
      return
    }
    this.#bytes += size
    const sums = (this.#sizes[sizeClassOf(size)] ??= { count: 0, bytes: 0 })
    sums.count++
    sums.bytes += size
  }

  #end(receipt: Receipt.Receipt, end: Receipt.Destination): void {
    const { attempts, bytesSent, elapsedMs, retried = {} } = end
    const from = Date.parse(end.startedAt)
    const to = from + elapsedMs
    const bad = isBad(end)
    this.#from = Math.min(this.#from, from)
    this.#to = Math.max(this.#to, to)
    this.#sent += bytesSent
    this.#attempts += attempts
    this.#timeline.add(from, to, bytesSent, bad)
    const place = this.#place(end.uri)
    let retries = 0
    for (const [reason, count = 0] of Object.entries(retried)) {
      this.#retries.add(this.#reasons.indexOf(reason), count)
      retries += count
    }
    place.sent += bytesSent
    place.retries += retries
    place[bad ? (end.status === "failed" ? "failed" : "cancelled") : "good"]++
    // What was there already took no time, and what failed says nothing of how long it takes.
    if (!bad && (attempts > 0 || bytesSent > 0)) {
      this.#times.add(elapsedMs)
      place.times.add(elapsedMs)
    }
    this.#slowest(receipt, end, retries)
  }

  #place(uri: string): PlaceSums {
    const name = placeOf(uri)
    const known = this.#places.get(name)
    if (known !== undefined) return known
    const key = this.#places.size < mostPlaces ? own(name, nameLength) : "others"
    let sums = this.#places.get(key)
    if (sums === undefined) {
      sums = { good: 0, failed: 0, cancelled: 0, sent: 0, retries: 0, times: new Spread() }
      this.#places.set(key, sums)
    }
    return sums
  }

  #slowest(receipt: Receipt.Receipt, end: Receipt.Destination, retries: number): void {
    const last = this.#slow.at(-1)
    if (this.#slow.length >= mostSlow && last !== undefined && end.elapsedMs <= last.elapsedMs) return
    const { attempts, bytesSent, elapsedMs, status, uri } = end
    this.#slow.push({
      id: own(receipt.id, nameLength),
      uri: own(Uri.shown(uri), nameLength),
      status,
      size: receipt.source.size,
      bytesSent,
      attempts,
      retries,
      elapsedMs
    })
    this.#slow.sort((a, b) => b.elapsedMs - a.elapsedMs)
    this.#slow = this.#slow.slice(0, mostSlow)
  }

  report(): Report {
    const some = this.#to >= this.#from
    const elapsedMs = some ? Math.round(this.#to - this.#from) : 0
    const iso = (time: number) => (some ? new Date(time).toISOString() : null)
    const { cancelled, failed, skipped, stored, verified } = this.#lines
    return {
      read: { ...this.#read, firstWrong: this.#firstWrong, cut: this.#cut },
      lines: { total: verified + stored + skipped + failed + cancelled, ...this.#lines },
      bytes: this.#bytes,
      bytesSent: this.#sent,
      attempts: this.#attempts,
      startedAt: iso(this.#from),
      endedAt: iso(this.#to),
      elapsedMs,
      bytesPerSecond: elapsedMs < 1 ? 0 : (this.#sent * 1000) / elapsedMs,
      timeline: {
        from: iso(this.#timeline.from),
        spanMs: this.#timeline.spanMs,
        spans: this.#timeline.spans.map(({ ended, failed, sent }) => ({ sent: Math.round(sent), ended, failed }))
      },
      times: { ...this.#times.percentiles(), within, histogram: this.#times.bars() },
      sizes: this.#sizes.flatMap((sums, index): ReadonlyArray<Size> => [
        { from: sizeBegin(index), to: index === 0 ? 1 : sizeBegin(index + 1), ...sums }
      ]),
      unsized: this.#unsized,
      places: this.#placesOf(),
      retries: this.#retries.sorted(),
      reasons: this.#failedLines.sorted(),
      slowest: this.#slow,
      failures: { total: this.#badEnds, bestEffort: this.#alsoBad, first: [...this.#failures.values()].flat() }
    }
  }

  #placesOf(): ReadonlyArray<Place> {
    return [...this.#places]
      .map(([place, { cancelled, failed, good, retries, sent, times }]): Place => {
        const { max, p50, p95 } = times.percentiles()
        return { place, good, failed, cancelled, sent, retries, p50, p95, max }
      })
      .sort((a, b) => b.sent - a.sent || (a.place < b.place ? -1 : 1))
  }
}
