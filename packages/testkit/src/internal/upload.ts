/**
 * `PUT /v2/images/{id}/file` and `PUT /v2/images/{id}/stage`: the checks in the order of the real service, the bytes,
 * the verdict, and what the image is after each way that this can end.
 */
import { createHash } from "node:crypto"
import { openSink, type StoredData } from "./data.ts"
import { HttpFailure } from "./errorPage.ts"
import type { Aftermath, Fault } from "./faults.ts"
import type { Head } from "./httpHead.ts"
import type { Answer, Ending as Hangup, Exchange } from "./httpServer.ts"
import type { Context } from "./identity.ts"
import { become, type Image, restore } from "./image.ts"
import { enforce } from "./policy.ts"
import { storageQuotaFull } from "./quota.ts"
import { type Ending, receive, type Received, Struck } from "./receive.ts"
import { findImage, force, type Site } from "./site.ts"
import { checkWritable, selectStore, stagingStore } from "./stores.ts"

export const noContent: Answer = {
  status: 204,
  headers: [
    ["Content-Type", "text/html; charset=UTF-8"],
    ["Content-Length", "0"]
  ]
}

/** A body of bytes and nothing else. Throws 415. */
const checkContentType = (site: Site, head: Head): void => {
  // eventlet puts a type of its own where there is none
  const type = head.headers["content-type"] ?? (site.manner === "eventlet" ? "text/plain" : undefined)
  if (type?.split(";")[0]?.trim().toLowerCase() === "application/octet-stream") return
  const named =
    site.release === "33" ? `Invalid content type ${type === undefined ? "None" : type.split(";")[0]!.trim()}` : ""
  throw new HttpFailure(415, undefined, { detail: named })
}

/** The size that the client promises, 0 for none. Throws 400 for one that is no number. */
const promisedSize = (site: Site, head: Head): number => {
  const length = Number.parseInt(head.headers["content-length"] ?? "", 10)
  const header = head.headers["x-openstack-image-size"]
  if (site.release === "33" && header !== undefined) {
    if (!/^\s*[+-]?\d+\s*$/.test(header)) {
      throw new HttpFailure(400, "Invalid or missing image size in request headers.")
    }
    return Number.parseInt(header, 10)
  }
  return Number.isNaN(length) ? 0 : length
}

const goneMessage = (id: string) =>
  `Image ${id} could not be found after upload. The image may have been deleted during the upload, cleaning up the ` +
  "chunks uploaded."

const record = (image: Image, received: Received, algo: string, store: string, data: StoredData): void => {
  image.locations.push({ store, data })
  image.size = received.size
  image.checksum = received.checksum
  image.hashAlgo = received.hashValue === null ? null : algo
  image.hashValue = received.hashValue
}

const report = (image: Image, fault: Fault | undefined): void => {
  if (fault?.type !== "report") return
  if (fault.size !== undefined) image.size = fault.size
  if (fault.checksum !== undefined) image.checksum = fault.checksum
  if (fault.hashAlgo !== undefined) image.hashAlgo = fault.hashAlgo
  if (fault.hashValue !== undefined) image.hashValue = fault.hashValue
}

/** Puts an image into the state that a fault asks for. */
const leave = async (
  site: Site,
  image: Image,
  aftermath: Aftermath,
  received: Received | undefined,
  algo: string,
  store: string
): Promise<void> => {
  const end = typeof aftermath === "string" ? aftermath : aftermath.then
  const keep = end === "active" || end === "saving" || end === "poisoned"
  const data = await received?.sink.finish(keep)
  const settle = () => {
    if (image.status === "deleted") return data?.remove()
    if ((end === "active" || end === "poisoned") && received !== undefined && data !== undefined) {
      record(image, received, algo, store, data)
      if (end === "active") image.virtualSize = received.inspector === undefined ? null : received.size
    }
    if (end === "poisoned") restore(image)
    else if (end === "active" || end === "queued" || end === "deleted") force(image, end)
  }
  if (typeof aftermath === "string") settle()
  else site.later(aftermath.forMs, settle)
}

/** What the client sees of a fault that ends a request. */
export const struckAnswer = (fault: Ending): Answer | Hangup => {
  if (fault.type === "drop") return fault.how
  const body = fault.body ?? ""
  const has = (name: string) => fault.headers?.some(([other]) => other.toLowerCase() === name) === true
  return {
    status: fault.status,
    headers: [
      ...(has("content-length") ? [] : [["Content-Length", String(Buffer.byteLength(body))] as const]),
      ...(fault.headers ?? [])
    ],
    body,
    anonymous: fault.requestId !== true
  }
}

/** Ends a request by the fault that struck, outside of an upload's body. */
export const strikeBefore = async (
  site: Site,
  image: Image | undefined,
  fault: Fault | undefined
): Promise<Answer | Hangup | undefined> => {
  if (fault === undefined || !("at" in fault) || fault.at !== "before") return undefined
  if (fault.type === "delay") await site.sleep(fault.ms)
  else if (fault.type === "delete") {
    if (image !== undefined) force(image, "deleted")
  } else if (fault.type === "answer" || fault.type === "drop") {
    if (image !== undefined && fault.image !== undefined) {
      await leave(site, image, fault.image, undefined, site.hashAlgo, site.stores.defaultId)
    }
    return struckAnswer(fault)
  }
  return undefined
}

/** Somebody else's upload to the same image, complete. */
const otherWriter = async (site: Site, image: Image, bytes: Uint8Array, store: string): Promise<void> => {
  const sink = openSink(site.data, store, image.id)
  await sink.write(bytes)
  const digest = (algo: string) => (site.hash ? createHash(algo).update(bytes).digest("hex") : null)
  const received: Received = {
    sink,
    size: bytes.length,
    checksum: digest("md5"),
    hashValue: digest(site.hashAlgo),
    inspector: undefined
  }
  become(image, "saving")
  record(image, received, site.hashAlgo, store, await sink.finish(true))
  become(image, "active")
}

/** The verdict after the last byte. Throws where the upload fails after all. */
const judge = (site: Site, image: Image, received: Received): void => {
  const verdict = received.inspector?.verdict(image.diskFormat!)
  if (verdict === undefined) return
  if (verdict.ok) image.virtualSize = verdict.virtualSize
  else if (site.release === "33") throw new HttpFailure(415, undefined, { detail: verdict.reason })
}

const body = async (
  site: Site,
  context: Context,
  exchange: Exchange,
  image: Image,
  fault: Fault | undefined
): Promise<void> => {
  const expected = promisedSize(site, exchange.head)
  const asked = selectStore(site.stores, exchange.head.headers["x-image-meta-store"])
  const store = fault?.type === "store" ? selectStore(site.stores, fault.id) : asked
  const hashAlgo = image.hashAlgo ?? site.hashAlgo
  site.quota.enforceCountUploading(context.projectId)
  const left = site.quota.remaining(context.projectId, image.id)
  if (left !== undefined && (expected === 0 ? left <= 0 : expected > left)) throw storageQuotaFull(expected, left)
  checkWritable(store)
  // what an earlier, refused upload left in this store is in the way
  if (image.locations.some((location) => location.store === store.id)) throw new HttpFailure(500)
  const poisoned = image.checksum
  const remaining = expected === 0 ? undefined : left
  const { body } = exchange
  const received = await receive(site, { image, body, store, expected, remaining, hashAlgo, fault }).catch(
    async (error: unknown) => {
      if (error instanceof Struck) {
        await leave(site, image, error.fault.image ?? "queued", error.received, hashAlgo, store.id)
      }
      throw error
    }
  )
  const data = await received.sink.finish(true)
  if (poisoned !== null && poisoned !== received.checksum) {
    data.remove()
    throw new HttpFailure(500)
  }
  if (image.status === "deleted") {
    data.remove()
    throw new HttpFailure(410, goneMessage(image.id))
  }
  record(image, received, hashAlgo, store.id, data)
  judge(site, image, received)
  if (left !== undefined && received.size > left) {
    // the real service has the image as active in memory by now, and from there no way leads back to queued
    data.remove()
    forget(image)
    throw new Stuck(storageQuotaFull(received.size, left))
  }
  become(image, "active")
  report(image, fault)
}

const forget = (image: Image): void => {
  image.locations = []
  image.size = null
  image.virtualSize = null
  image.checksum = null
  image.hashAlgo = null
  image.hashValue = null
}

/** A failure after which the image stays `saving`. */
class Stuck extends Error {
  readonly failure: HttpFailure
  constructor(failure: HttpFailure) {
    super(failure.message)
    this.failure = failure
  }
}

/** `PUT …/file`. */
export const upload = async (
  site: Site,
  context: Context,
  exchange: Exchange,
  id: string,
  fault: Fault | undefined
): Promise<Answer | Hangup> => {
  const struck = await strikeBefore(site, site.images.get(id), fault)
  if (struck !== undefined) return struck
  checkContentType(site, exchange.head)
  const expected = promisedSize(site, exchange.head)
  site.quota.enforceSizeTotal(context.projectId, site.release === "33" ? expected : 0)
  const store = selectStore(site.stores, exchange.head.headers["x-image-meta-store"])
  const image = findImage(site, context, id)
  enforce(context, "upload_image", image)
  if (fault?.type === "otherWriter") {
    await otherWriter(site, image, fault.bytes, store.id)
    throw new HttpFailure(410, goneMessage(id))
  }
  become(image, "saving")
  const { killed } = site.life
  try {
    await body(site, context, exchange, image, fault)
  } catch (error) {
    if (error instanceof Struck) return struckAnswer(error.fault)
    if (error instanceof Stuck) throw error.failure
    if (killed === site.life.killed) restore(image)
    throw error
  }
  return noContent
}

/** Keeps what was staged for the import. */
const keepStaged = async (site: Site, image: Image, { sink, size }: Received): Promise<void> => {
  site.staged.set(image.id, await sink.finish(true))
  image.size = size
}

/** As `leave`, for the staging area: `saving` is `uploading` there, and `active` that all is staged. */
const leaveStaged = async (
  site: Site,
  image: Image,
  aftermath: Aftermath,
  received: Received | undefined
): Promise<void> => {
  const end = typeof aftermath === "string" ? aftermath : aftermath.then
  if (end !== "active") await received?.sink.finish(false)
  const settle = async () => {
    if (image.status === "deleted") await received?.sink.finish(false)
    else if (end === "active" && received !== undefined) await keepStaged(site, image, received)
    else if (end === "queued") restore(image)
    else if (end === "deleted") force(image, "deleted")
  }
  if (typeof aftermath === "string") await settle()
  else site.later(aftermath.forMs, () => void settle())
}

/** `PUT …/stage`: the bytes wait in the staging area for an import. */
export const stage = async (
  site: Site,
  context: Context,
  exchange: Exchange,
  id: string,
  fault: Fault | undefined
): Promise<Answer | Hangup> => {
  const struck = await strikeBefore(site, site.images.get(id), fault)
  if (struck !== undefined) return struck
  if (!site.importMethods.includes("glance-direct")) {
    throw new HttpFailure(404, "'glance-direct' method is not available at this site.")
  }
  checkContentType(site, exchange.head)
  const expected = promisedSize(site, exchange.head)
  site.quota.enforceStageTotal(context.projectId, site.release === "33" ? expected : 0)
  const image = findImage(site, context, id)
  enforce(context, "modify_image", image)
  become(image, "uploading")
  const { killed } = site.life
  try {
    site.quota.enforceCountUploading(context.projectId)
    if (site.staged.has(image.id)) throw new HttpFailure(409, `The image ${image.id} has data on staging`)
    const received = await receive(
      { ...site, hash: false, inspectFormats: false },
      {
        image,
        body: exchange.body,
        store: { id: stagingStore },
        expected,
        remaining: undefined,
        hashAlgo: site.hashAlgo,
        fault
      }
    ).catch(async (error: unknown) => {
      if (error instanceof Struck) await leaveStaged(site, image, error.fault.image ?? "queued", error.received)
      throw error
    })
    await keepStaged(site, image, received)
  } catch (error) {
    if (error instanceof Struck) return struckAnswer(error.fault)
    if (killed === site.life.killed) restore(image)
    throw error
  }
  return noContent
}
