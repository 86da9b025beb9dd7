/**
 * Disk formats, told by the first bytes. A current Glance looks at what it stores and refuses an image whose bytes
 * are not of the declared format, but only after the whole body, and the image is of no use afterwards. So the same
 * rules are applied here first. Pure; asks nobody.
 *
 * A fixed VHD has its mark at the end and looks raw at the beginning, to Glance as well.
 *
 * @since 0.1.0
 */
import * as Signatures from "./internal/signatures.ts"

/**
 * A format that has a mark. Everything else is `raw`. `gpt` is a disk with a partition table, GPT or MBR.
 *
 * @since 0.1.0
 * @category models
 */
export type Marked = "qcow2" | "qed" | "vmdk" | "vhd" | "vhdx" | "vdi" | "iso" | "gpt" | "luks" | "ploop"

/**
 * A format that the first bytes are of. Bytes can be of more than one: an ISO that boots from a stick is `iso` and
 * `gpt`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Finding {
  readonly format: Marked
  /** Why a service that inspects images refuses this one, if it does. */
  readonly unsafe: string | undefined
  /** Whether it is of no use in any cloud, whatever the service accepts. */
  readonly unusable: boolean
}

/**
 * How closely a service looks. `lenient`: before release 30 (2025.1), not at all. `inspecting`: formats must match
 * and be safe; partition tables are let through. `strict`: from release 33 (2026.2), partition tables too.
 *
 * @since 0.1.0
 * @category models
 */
export type Inspector = "lenient" | "inspecting" | "strict"

/**
 * What would become of an image. `refuse` says why it must not be sent; `notes` are worth telling.
 *
 * @since 0.1.0
 * @category models
 */
export interface Verdict {
  readonly refuse: string | undefined
  readonly notes: ReadonlyArray<string>
}

/**
 * The formats that the first bytes are of; none for raw data. `head` is the first 64 KiB, or all when there are fewer:
 * an ISO needs 34 KiB to be seen.
 *
 * @since 0.1.0
 * @category inspection
 */
export const find = (head: Uint8Array): ReadonlyArray<Finding> => Signatures.find(head)

/** Formats that an image record can be of. The others are contents of a raw disk. */
const declarable: ReadonlyArray<Marked> = ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "ploop"]

/**
 * The `disk_format` to declare for content that begins so.
 *
 * @since 0.1.0
 * @category inspection
 */
export const guess = (head: Uint8Array): string =>
  declarable.find((format) => find(head).some((finding) => finding.format === format)) ?? "raw"

/** Formats that Glance recognises, and therefore expects to see when they are declared. */
const inspected: ReadonlySet<string> = new Set("qcow2 vhd vhdx vmdk vdi qed iso gpt luks".split(" "))

const article = (format: string): string =>
  format === "raw" ? "raw data" : format === "gpt" ? "a raw disk with a partition table" : format

/**
 * What a service would make of content that begins with `head`, declared as `declared` in a `bare` container. In
 * other containers nothing is inspected.
 *
 * @since 0.1.0
 * @category inspection
 */
export const check = (declared: string, head: Uint8Array, inspector: Inspector): Verdict => {
  // Ploop images are not recognised by any release.
  const found = find(head).filter((finding) => finding.format !== "ploop")
  const notes: Array<string> = []
  const refuse = (why: string): Verdict => ({ refuse: why, notes })
  const accept: Verdict = { refuse: undefined, notes }
  /** Refused by those who look; those who do not, store it. */
  const object = (why: string): Verdict => {
    if (inspector !== "lenient") return refuse(why)
    notes.push(`${why}; a current Glance would refuse it`)
    return accept
  }

  const hybrid = found.length === 2 && found.some((f) => f.format === "iso") && found.some((f) => f.format === "gpt")
  if (found.length > 1 && (!hybrid || declared === "raw")) {
    const formats = found.map((finding) => finding.format).join(" and ")
    const hint = hybrid ? "; disk_format iso is the one for an ISO that boots from a stick" : ""
    return object(`the first bytes are of several formats, ${formats}${hint}`)
  }
  const finding = hybrid ? found.find((f) => f.format === "iso") : found[0]
  const actual = finding?.format ?? "raw"

  if (declared === "raw") {
    if (actual !== "raw" && actual !== "gpt") notes.push(`declared as raw, but the bytes are ${actual}`)
  } else if (actual !== declared && (actual !== "raw" || inspected.has(declared))) {
    const why = `declared as ${declared}, but the first bytes are ${article(actual)}`
    // Nobody can tell from its beginning that a fixed VHD is one.
    if (declared === "vhd" && (actual === "raw" || actual === "gpt")) {
      return object(`${why} (a fixed VHD has its mark at the end, where Glance does not look)`)
    }
    return inspected.has(declared) ? refuse(why) : object(why)
  }

  if (finding?.unsafe === undefined) return accept
  const why = `the ${actual === "gpt" ? "disk" : actual} image cannot be stored safely: ${finding.unsafe}`
  if (finding.format === "gpt") {
    const since = `${why}; Glance from release 33 on refuses it (a kernel is disk_format aki)`
    if (inspector === "strict") return refuse(since)
    notes.push(since)
    return accept
  }
  return finding.unusable && declared === finding.format ? refuse(why) : object(why)
}
