/**
 * Import of staged data and copies to more stores: a task behind a 202, whose progress shows in the image's
 * properties.
 */
import { randomUUID } from "node:crypto"
import { allBytes, copyData, Digests, openSink, type StoredData } from "./data.ts"
import { HttpFailure } from "./errorPage.ts"
import type { Fault, ImportEnd } from "./faults.ts"
import type { Head } from "./httpHead.ts"
import type { Answer } from "./httpServer.ts"
import type { Context } from "./identity.ts"
import { become, type Image, restore } from "./image.ts"
import { Inspector } from "./inspect.ts"
import { enforce } from "./policy.ts"
import { findImage, showImage, type Site, type Task } from "./site.ts"
import { stagingStore } from "./stores.ts"

export const importInfo = (site: Site): Record<string, unknown> => ({
  "import-methods": { description: "Import methods available.", type: "array", value: site.importMethods }
})

/** Of a task, and only there, times have six digits after the point and no zone. */
const instant = (at: number): string => `${new Date(at).toISOString().slice(0, -1)}000`

const twoDaysMs = 2 * 24 * 3600 * 1000

export const imageTasks = (site: Site, context: Context, id: string): Array<Record<string, unknown>> => {
  let image: Image
  try {
    image = showImage(site, context, id)
  } catch {
    throw new HttpFailure(404)
  }
  return [...site.tasks.values()]
    .filter((task) => task.imageId === image.id)
    .map((task) => ({
      id: task.id,
      image_id: task.imageId,
      type: "api_image_import",
      status: task.status,
      message: task.message,
      owner: task.owner,
      user_id: task.userId,
      request_id: task.requestId,
      input: { image_id: task.imageId, import_req: task.body, backend: site.stores.multi ? task.stores : [null] },
      result: task.status === "success" ? { image_id: task.imageId } : null,
      created_at: instant(task.createdAt),
      updated_at: instant(task.updatedAt),
      expires_at: ["success", "failure"].includes(task.status) ? instant(task.updatedAt + twoDaysMs) : null,
      deleted: false,
      deleted_at: null
    }))
}

interface Asked {
  readonly method: string
  readonly mustSucceed: boolean
  /** The stores by name. Throws 400 where they are named in two ways. */
  readonly wanted: () => { readonly stores: ReadonlyArray<string>; readonly allStores: boolean }
}

const conflict = (words: string) => new HttpFailure(409, words)

const parse = (site: Site, head: Head, body: unknown): Asked => {
  const values = body as Readonly<Record<string, unknown>>
  const method = (values["method"] as Readonly<Record<string, unknown>> | undefined)?.["name"]
  if (values["method"] === undefined) throw new HttpFailure(400, "Import request requires a 'method' field.")
  if (method === undefined) throw new HttpFailure(400, "Import request requires a 'name' field.")
  if (typeof method !== "string" || !site.importMethods.some((known) => known === method)) {
    throw new HttpFailure(400, `Unknown import method name '${String(method)}'.`)
  }
  for (const name of ["all_stores_must_succeed", "all_stores"]) {
    if (typeof (values[name] ?? true) !== "boolean") {
      throw new HttpFailure(400, `'${name}' must be boolean value only`)
    }
  }
  return {
    method,
    mustSucceed: values["all_stores_must_succeed"] !== false,
    wanted: () => wantedStores(site, head, values)
  }
}

const wantedStores = (
  site: Site,
  head: Head,
  values: Readonly<Record<string, unknown>>
): ReturnType<Asked["wanted"]> => {
  const header = head.headers["x-image-meta-store"]
  const listed = values["stores"] as ReadonlyArray<string> | undefined
  const allStores = values["all_stores"] === true
  if (allStores && (listed !== undefined || header !== undefined)) {
    throw new HttpFailure(400, "All_stores parameter can't be used with x-image-meta-store header or stores parameter")
  }
  if (listed !== undefined && header !== undefined) {
    throw new HttpFailure(400, "Stores parameter and x-image-meta-store header can't be both specified")
  }
  const stores = allStores ? site.stores.list.map((store) => store.id) : (listed ?? [header ?? site.stores.defaultId])
  return { stores, allStores }
}

const check = (site: Site, context: Context, image: Image, asked: Asked): ReadonlyArray<string> => {
  if (image.status === "active" && asked.method !== "copy-image") {
    throw conflict("Image with status active cannot be target for import")
  }
  if (image.status !== "active" && asked.method === "copy-image") {
    throw conflict("Only images with status active can be targeted for copying")
  }
  if (image.status !== "uploading" && asked.method === "glance-direct") {
    throw conflict("Image needs to be staged before 'glance-direct' method can be used")
  }
  if (image.containerFormat === null) throw conflict("'container_format' needs to be set before import")
  if (image.diskFormat === null) throw conflict("'disk_format' needs to be set before import")
  enforce(context, asked.method === "copy-image" && !site.membersMayCopy ? "copy_image" : "modify_image", image)
  const lock = image.properties.get("os_glance_import_task")
  if (lock !== undefined) {
    // a lock whose task is no more holds nobody
    if (site.tasks.has(lock) || context.projectId === null) throw conflict("Image has active task")
    image.properties.delete("os_glance_import_task")
  }
  if (!site.stores.multi) {
    // the real service looks for the store in a record that has none
    if (asked.method === "copy-image") throw new HttpFailure(500)
    return [site.stores.defaultId]
  }
  const { allStores, stores } = asked.wanted()
  const unknown = stores.find((store) => site.stores.get(store) === undefined)
  if (unknown !== undefined) throw conflict(`Store for identifier ${unknown} not found`)
  if (asked.method !== "copy-image") return stores
  const has = (store: string) => image.locations.some((location) => location.store === store)
  const present = stores.find(has)
  if (present !== undefined && !allStores) {
    throw new HttpFailure(400, `Image is already present at store '${present}'`)
  }
  return stores.filter((store) => !has(store))
}

/** The real service keeps such lists in the order of the alphabet. */
const append = (image: Image, name: string, store: string): void => {
  const all = new Set([...(image.properties.get(name) ?? "").split(","), store])
  image.properties.set(
    name,
    [...all]
      .filter((other) => other !== "")
      .toSorted()
      .join(",")
  )
}

const drop = (image: Image, name: string, store: string): void => {
  const left = (image.properties.get(name) ?? "").split(",").filter((other) => other !== store && other !== "")
  image.properties.set(name, left.join(","))
}

interface Seen {
  readonly digests: { readonly checksum: string; readonly value: string } | undefined
  readonly inspector: Inspector | undefined
}

/** Reads what was staged once, for its digests and its format. */
const look = async (site: Site, image: Image, data: StoredData): Promise<Seen> => {
  const inspector = site.inspectFormats && image.containerFormat === "bare" ? new Inspector() : undefined
  const sums = site.hash ? new Digests(site.hashAlgo) : undefined
  if (!data.readable) return { digests: sums?.finish(), inspector: undefined }
  for await (const piece of data.read(0, data.size)) {
    sums?.update(piece)
    inspector?.update(piece)
  }
  return { digests: sums?.finish(), inspector }
}

/** What a plugin makes of the staged bytes that changes them, as conversion does. */
const changed = async (site: Site, image: Image, data: StoredData, offset: number): Promise<StoredData> => {
  const bytes = await allBytes(data)
  bytes[offset] = bytes[offset]! ^ 0xff
  data.remove()
  const sink = openSink(site.data, stagingStore, image.id)
  await sink.write(bytes)
  return sink.finish(true)
}

/** Takes back what one import has brought, as the real service's flow does. */
const takeBack = (image: Image, stores: ReadonlyArray<string>): void => {
  for (const { data, store } of image.locations) if (stores.includes(store)) data.remove()
  image.locations = image.locations.filter(({ store }) => !stores.includes(store))
  if (image.locations.length > 0) return
  image.checksum = null
  image.hashAlgo = null
  image.hashValue = null
  image.size = null
}

/** What an import leaves behind that comes to nothing. */
const comeToNothing = (site: Site, image: Image, task: Task, ends: ImportEnd): void => {
  if (ends === "fails") {
    // the flow is undone only as far as it has come, and no store has had its turn
    task.status = "failure"
    task.message = "Task failed due to Internal Error"
    task.updatedAt = Date.now()
    image.properties.delete("os_glance_import_task")
  }
  if (ends === "orphaned" || ends === "lost") site.tasks.delete(task.id)
  if (ends === "lost") {
    image.properties.delete("os_glance_import_task")
    image.properties.set("os_glance_importing_to_stores", "")
  }
}

const run = async (
  site: Site,
  image: Image,
  task: Task,
  asked: Asked,
  stores: ReadonlyArray<string>,
  fault: Fault | undefined
) => {
  const copies = asked.method === "copy-image"
  let staged = copies ? image.locations[0]?.data : site.staged.get(image.id)
  const end = (status: "success" | "failure", message: string) => {
    task.status = status
    task.message = message
    task.updatedAt = Date.now()
    image.properties.delete("os_glance_import_task")
  }
  const fail = () => end("failure", "Task failed due to Internal Error")
  const isGone = () => image.status === "deleted"
  if (staged === undefined) return fail()
  task.status = "processing"
  await site.sleep(site.importStepMs)
  if (isGone()) return fail()
  if (!copies) become(image, "importing")
  for (const store of stores) append(image, "os_glance_importing_to_stores", store)
  for (const store of stores) drop(image, "os_glance_failed_import", store)
  try {
    if (copies) {
      // all data goes through the staging area once more
      site.quota.enforceStageTotal(task.owner, staged.size)
      site.quota.enforceCountUploading(task.owner)
    } else site.quota.enforceSizeTotal(task.owner, staged.size)
  } catch (error) {
    // what is staged stays there, in the way of what is staged next
    image.properties.set("os_glance_importing_to_stores", "")
    restore(image)
    return end("failure", error instanceof Error ? error.message : "")
  }
  if (fault?.type === "import") {
    await site.sleep(site.importStepMs)
    return comeToNothing(site, image, task, fault.ends)
  }
  if (fault?.type === "corrupt" && !copies && staged.readable) {
    staged = await changed(site, image, staged, fault.offset)
    site.staged.set(image.id, staged)
  }
  const { digests, inspector } = await look(site, image, staged)
  const verdict = copies ? undefined : inspector?.verdict(image.diskFormat!)
  const refused = verdict?.ok === false && site.release === "33"
  for (const id of stores) {
    await site.sleep(site.importStepMs)
    // what a store has got by now of an image that was deleted meanwhile stays there, known to nobody
    if (isGone()) return fail()
    const store = site.stores.get(id)!
    const broken =
      store.readOnly === true ||
      store.unwritable === true ||
      store.missing === true ||
      (store.fullAfterBytes !== undefined && staged.size > store.fullAfterBytes)
    if ((broken || refused) && asked.mustSucceed) {
      // the real service leaves the image importing, for ever
      takeBack(image, stores)
      for (const other of stores) drop(image, "os_glance_importing_to_stores", other)
      append(image, "os_glance_failed_import", id)
      return fail()
    }
    drop(image, "os_glance_importing_to_stores", id)
    if (broken) {
      append(image, "os_glance_failed_import", id)
      continue
    }
    image.locations.push({ store: id, data: await copyData(staged, site.data, id, image.id) })
    image.size = staged.size
    if (digests !== undefined && image.checksum === null) {
      image.checksum = digests.checksum
      image.hashAlgo = site.hashAlgo
      image.hashValue = digests.value
    }
    task.message = `Copied ${Math.floor(staged.size / 1024 / 1024)} MiB`
    task.updatedAt = Date.now()
    // it is in the store before anybody looks at its format
    if (refused) append(image, "os_glance_failed_import", id)
    else if (verdict?.ok === true) image.virtualSize = verdict.virtualSize
    if (!refused && !asked.mustSucceed && image.status === "importing") become(image, "active")
  }
  await site.sleep(site.importStepMs)
  if (!copies) {
    staged.remove()
    site.staged.delete(image.id)
    if (image.status === "importing" && asked.mustSucceed) become(image, "active")
    if (image.status === "importing") {
      become(image, "queued")
      await site.sleep(site.importStepMs)
      takeBack(image, stores)
      return fail()
    }
  }
  end("success", `Copied ${Math.floor(staged.size / 1024 / 1024)} MiB`)
}

/** `POST …/import`. */
export const importImage = (
  site: Site,
  context: Context,
  head: Head,
  id: string,
  body: unknown,
  /** What becomes of it, where that is not what it should. */
  fault?: Fault
): Answer => {
  const asked = parse(site, head, body)
  site.quota.enforceSizeTotal(context.projectId, 0)
  const image = findImage(site, context, id)
  const stores = check(site, context, image, asked)
  if (!asked.mustSucceed && !site.stores.multi) {
    throw new HttpFailure(400, "All_stores_must_succeed can only be set with enabled_backends None")
  }
  const accepted: Answer = {
    status: 202,
    headers: [
      ["Content-Type", "text/html; charset=UTF-8"],
      ["Content-Length", "0"]
    ]
  }
  if (stores.length === 0) return accepted
  const task: Task = {
    id: randomUUID(),
    imageId: image.id,
    status: "pending",
    message: "",
    owner: context.projectId,
    userId: context.userId,
    requestId: `req-${randomUUID()}`,
    body,
    stores,
    createdAt: Date.now(),
    updatedAt: Date.now()
  }
  image.properties.set("os_glance_import_task", task.id)
  // a task belongs to a project, and without authentication there is none; the lock stays behind
  if (context.projectId === null) throw new HttpFailure(500)
  site.tasks.set(task.id, task)
  site.later(0, () => {
    run(site, image, task, asked, stores, fault).catch(() => {
      task.status = "failure"
      image.properties.delete("os_glance_import_task")
    })
  })
  return accepted
}
