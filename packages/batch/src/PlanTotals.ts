/**
 * What a plan comes to: counted while its entries pass.
 *
 * @since 0.1.0
 */
import type { Entry, SkipKind } from "./Plan.ts"

/**
 * A number of images and their bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Amount {
  readonly images: number
  readonly bytes: number
}

/**
 * What a plan comes to.
 *
 * @since 0.1.0
 * @category models
 */
export interface PlanTotals extends Amount {
  /** Bytes that are sent: each image's once for each of its destinations. */
  readonly sent: number
  /** Images whose sizes are not known. */
  readonly unsized: number
  /** Images by their `disk_format`, largest amount first. */
  readonly formats: ReadonlyArray<readonly [format: string, amount: Amount]>
  readonly skipped: Readonly<Partial<Record<SkipKind, number>>>
  readonly notes: number
  /** Images that were looked at, and those of them that the filters left out. */
  readonly listed: number
  readonly filtered: number
  /** About how many requests it takes. */
  readonly requests: number
}

/**
 * Counts entries.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counter {
  readonly add: (entry: Entry) => void
  readonly totals: () => PlanTotals
}

const plus = ({ bytes, images }: Amount, size: number): Amount => ({ images: images + 1, bytes: bytes + size })

const nothing: Amount = { images: 0, bytes: 0 }

/**
 * A counter that has counted nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const counter = (): Counter => {
  let all = nothing
  const counts = { sent: 0, unsized: 0, notes: 0, listed: 0, filtered: 0, requests: 0 }
  const formats = new Map<string, Amount>()
  const skipped: Partial<Record<SkipKind, number>> = {}
  return {
    add: (entry) => {
      switch (entry._tag) {
        case "Line": {
          const { also, size, to } = entry.line
          const format = entry.image.diskFormat ?? "no format"
          all = plus(all, size ?? 0)
          formats.set(format, plus(formats.get(format) ?? nothing, size ?? 0))
          counts.sent += (size ?? 0) * (to.length + also.length)
          counts.requests += entry.requests
          if (size === undefined) counts.unsized++
          return
        }
        case "Skipped":
          skipped[entry.kind] = (skipped[entry.kind] ?? 0) + 1
          return
        case "Note":
          counts.notes++
          return
        case "End":
          counts.listed = entry.listed
          counts.filtered = entry.filtered
      }
    },
    totals: () => ({
      ...all,
      ...counts,
      formats: [...formats].sort(([, one], [, other]) => other.bytes - one.bytes || other.images - one.images),
      skipped: { ...skipped }
    })
  }
}
