/**
 * What a project may still store. Two systems, as in Glance: unified limits from Keystone (in MiB and pieces, `-1` is
 * no limit), and the older `user_storage_quota` in bytes, which is looked at only where the first is off.
 */
import { HttpFailure } from "./errorPage.ts"
import type { Image } from "./image.ts"

/**
 * What a project, or an image, may be at most.
 *
 * @since 0.1.0
 * @category models
 */
export interface QuotaOptions {
  /** MiB of image data a project. */
  readonly imageSizeTotal?: number
  /** MiB of staged data a project. */
  readonly imageStageTotal?: number
  /** Images a project. */
  readonly imageCountTotal?: number
  /** Images a project that are `saving`, `uploading` or `importing`. */
  readonly imageCountUploading?: number
  /** Bytes a project; off where a unified limit is set. */
  readonly userStorageQuota?: number
  /** Bytes an image. Default 1 TiB. */
  readonly imageSizeCap?: number
}

const MiB = 1024 * 1024

export interface Usage {
  readonly usage: number
  readonly limit: number
}

export interface Quota {
  readonly unified: boolean
  readonly sizeCap: number
  readonly usage: (project: string | null) => Record<string, Usage>
  /** Each throws 413. `delta` is in bytes. */
  readonly enforceSizeTotal: (project: string | null, delta: number) => void
  readonly enforceStageTotal: (project: string | null, delta: number) => void
  readonly enforceCountTotal: (project: string | null) => void
  readonly enforceCountUploading: (project: string | null) => void
  /** Bytes left by `user_storage_quota` without `except`, or `undefined` when there is no such quota. */
  readonly remaining: (project: string | null, except: string) => number | undefined
}

const over = (project: string | null, name: string, limit: number, usage: number, delta: number): HttpFailure =>
  new HttpFailure(
    413,
    "The request returned a 413 Request Entity Too Large. This generally means that rate limiting or a quota " +
      `threshold was breached.\n\nThe response body:\nProject ${project} is over a limit for ` +
      `[Resource ${name} is over limit of ${limit} due to current usage ${usage} and delta ${delta}]`
  )

/** 413 in the words of the older quota. `size` is what was asked for. */
export const storageQuotaFull = (size: number, remaining: number): HttpFailure =>
  new HttpFailure(
    413,
    `Image exceeds the storage quota: The size of the data ${size} will exceed the limit. ${remaining} bytes remaining.`
  )

export const makeQuota = (options: QuotaOptions, images: ReadonlyMap<string, Image>): Quota => {
  const of = (project: string | null) =>
    [...images.values()].filter((image) => image.owner === project && image.status !== "deleted")
  const stored = (project: string | null, except?: string) =>
    of(project)
      .filter((image) => image.id !== except)
      .reduce((sum, image) => sum + (image.size ?? 0) * image.locations.length, 0)
  const staged = (project: string | null) =>
    of(project)
      .filter((image) => image.status === "uploading" || image.status === "importing")
      .reduce((sum, image) => sum + (image.size ?? 0), 0)
  const limits = {
    image_size_total: options.imageSizeTotal,
    image_stage_total: options.imageStageTotal,
    image_count_total: options.imageCountTotal,
    image_count_uploading: options.imageCountUploading
  }
  const counters: Record<keyof typeof limits, (project: string | null) => number> = {
    image_size_total: (project) => Math.floor(stored(project) / MiB),
    image_stage_total: (project) => Math.floor(staged(project) / MiB),
    image_count_total: (project) => of(project).length,
    image_count_uploading: (project) =>
      of(project).filter(
        (image) =>
          ["saving", "uploading", "importing"].includes(image.status) ||
          (image.properties.get("os_glance_importing_to_stores") ?? "") !== ""
      ).length
  }
  const unified = Object.values(limits).some((limit) => limit !== undefined)
  const enforce = (name: keyof typeof limits, project: string | null, delta: number) => {
    const limit = limits[name] ?? -1
    const usage = counters[name](project)
    if (limit >= 0 && usage + delta > limit) throw over(project, name, limit, usage, delta)
  }
  return {
    unified,
    sizeCap: options.imageSizeCap ?? 2 ** 40,
    usage: (project) =>
      !unified
        ? {}
        : Object.fromEntries(
            (Object.keys(limits) as Array<keyof typeof limits>).map((name) => [
              name,
              { usage: counters[name](project), limit: limits[name] ?? -1 }
            ])
          ),
    enforceSizeTotal: (project, delta) => enforce("image_size_total", project, Math.floor(delta / MiB)),
    enforceStageTotal: (project, delta) => enforce("image_stage_total", project, Math.floor(delta / MiB)),
    enforceCountTotal: (project) => enforce("image_count_total", project, 1),
    enforceCountUploading: (project) => enforce("image_count_uploading", project, 0),
    remaining: (project, except) =>
      unified || options.userStorageQuota === undefined ? undefined : options.userStorageQuota - stored(project, except)
  }
}
