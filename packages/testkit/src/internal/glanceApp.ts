/**
 * The application behind the server: which path is what, in the order of the real pipeline: health check, version
 * negotiation, token, route, body, controller.
 */
import { randomUUID } from "node:crypto"
import { errorPage, HttpFailure } from "./errorPage.ts"
import type { Fault, Operation } from "./faults.ts"
import type { Answer, Ending, Exchange } from "./httpServer.ts"
import { authenticate, type Authenticator, type Context } from "./identity.ts"
import { become, type Image, remove, view } from "./image.ts"
import { applyPatch, newImage, parseCreate, parseJson, parsePatch } from "./imageChanges.ts"
import { imageSchema, imagesSchema, validate } from "./imageSchema.ts"
import { importImage, importInfo, imageTasks } from "./importing.ts"
import { download } from "./download.ts"
import { listImages } from "./listing.ts"
import { enforce, enforceCreate, enforceMutating, enforceStoresDetail } from "./policy.ts"
import { findImage, showImage, type Site } from "./site.ts"
import { storeIdsHeader, storesInfo } from "./stores.ts"
import { noContent, stage, strikeBefore, struckAnswer, upload } from "./upload.ts"
import { isVersion, json, versions } from "./versions.ts"

interface Call {
  readonly site: Site
  readonly context: Context
  readonly exchange: Exchange
  /** What the route's pattern caught. */
  readonly args: ReadonlyArray<string>
  readonly fault: Fault | undefined
}

type Handler = (call: Call) => Promise<Answer | Ending> | Answer | Ending

interface Route {
  readonly path: RegExp
  readonly methods: Readonly<Record<string, Handler>>
  readonly operations?: Readonly<Record<string, Operation>>
}

const imageJson = (site: Site, image: Image): Answer => json(200, view(image, site.stores.multi))

const create: Handler = async ({ context, exchange, site }) => {
  const values = parseCreate(await exchange.body.readAll())
  enforceMutating(context)
  const owner = "owner" in values ? (values["owner"] as string | null) : context.projectId
  const image = newImage(values, owner, site.images.size)
  enforceCreate(context, owner, image.visibility)
  site.quota.enforceCountTotal(context.projectId)
  if (site.images.has(image.id.toLowerCase())) throw new HttpFailure(409, `Image ID ${image.id} already exists!`)
  site.images.set(image.id.toLowerCase(), image)
  return json(201, view(image, site.stores.multi), [
    ["Location", `http://${exchange.head.headers["host"] ?? "localhost"}/v2/images/${image.id}`],
    ...(site.importMethods.length > 0
      ? [["OpenStack-image-import-methods", site.importMethods.join(",")] as const]
      : []),
    ...(site.stores.multi
      ? [["OpenStack-image-store-ids", storeIdsHeader(site.stores, site.counters.uploads > 0)] as const]
      : [])
  ])
}

const update: Handler = async ({ args, context, exchange, site }) => {
  const changes = parsePatch(exchange.head.headers["content-type"], await exchange.body.readAll())
  enforceMutating(context)
  const image = findImage(site, context, args[0]!)
  applyPatch(context, image, changes)
  return imageJson(site, image)
}

const destroy: Handler = ({ args, context, site }) => {
  enforceMutating(context)
  const id = args[0]!
  let image: Image
  try {
    image = findImage(site, context, id)
  } catch {
    throw new HttpFailure(404, `Failed to find image ${id} to delete`)
  }
  enforce(context, "delete_image", image)
  remove(image)
  site.staged.get(id)?.remove()
  site.staged.delete(id)
  return noContent
}

const destroyCopy: Handler = ({ args, context, site }) => {
  enforceMutating(context)
  const [store = "", id = ""] = args
  if (!site.stores.multi) throw new HttpFailure(404)
  if (site.stores.get(store) === undefined) {
    throw new HttpFailure(409, `The selected store ${store} is not available on this node.`)
  }
  const image = findImage(site, context, id)
  enforce(context, "delete_image_location", image)
  if (image.status !== "active") {
    throw new HttpFailure(409, "It's not allowed to remove image data from store if image status is not 'active'")
  }
  if (image.locations.length === 1) {
    throw new HttpFailure(
      403,
      "Cannot delete image data from the only store containing it. Consider deleting the image instead."
    )
  }
  const location = image.locations.find((location) => location.store === store)
  if (location === undefined) throw new HttpFailure(404, `Image ${id} is not stored in store ${store}.`)
  location.data.remove()
  image.locations = image.locations.filter((other) => other !== location)
  return noContent
}

const activation =
  (action: "deactivate" | "reactivate"): Handler =>
  ({ args, context, site }) => {
    enforceMutating(context)
    const image = findImage(site, context, args[0]!)
    enforce(context, action, image)
    const [from, to] =
      action === "deactivate" ? (["active", "deactivated"] as const) : (["deactivated", "active"] as const)
    if (image.status === from) become(image, to)
    else if (image.status !== to) {
      throw new HttpFailure(403, `Not allowed to ${action} image in status '${image.status}'`)
    }
    return noContent
  }

const tagged = (site: Site, context: Context, id: string): Image => {
  try {
    return findImage(site, context, id)
  } catch {
    throw new HttpFailure(404, `Image ${id} not found.`)
  }
}

const addTag: Handler = ({ args, context, site }) => {
  validate({ tags: [args[1]] })
  enforceMutating(context)
  const image = tagged(site, context, args[0]!)
  enforce(context, "modify_image", image)
  image.tags.add(args[1]!)
  return noContent
}

const removeTag: Handler = ({ args, context, site }) => {
  enforceMutating(context)
  const image = tagged(site, context, args[0]!)
  enforce(context, "modify_image", image)
  if (!image.tags.delete(args[1]!)) throw new HttpFailure(404)
  return noContent
}

const storesDetail: Handler = ({ context, site }) => {
  const stores = storesInfo(site.stores)
  enforceStoresDetail(context)
  for (const store of stores) {
    const http = store["read-only"] === "true"
    store["type"] = http ? "http" : "file"
    store["properties"] = http
      ? {}
      : { data_dir: `/var/lib/glance/${String(store["id"])}`, chunk_size: 65_536, thin_provisioning: false }
    if (site.release === "33") store["weight"] = site.stores.get(String(store["id"]))?.weight ?? 0
  }
  return json(200, { stores })
}

const id = "([^/]+)"

const routes: ReadonlyArray<Route> = [
  {
    path: /^\/images$/,
    methods: {
      GET: ({ context, exchange, site }) => json(200, listImages(site, context, exchange.head.query)),
      POST: create
    },
    operations: { GET: "list", POST: "create" }
  },
  {
    path: new RegExp(`^/images/${id}$`),
    methods: {
      GET: ({ args, context, site }) => imageJson(site, showImage(site, context, args[0]!)),
      PATCH: update,
      DELETE: destroy
    },
    operations: { GET: "show", PATCH: "update", DELETE: "delete" }
  },
  {
    path: new RegExp(`^/images/${id}/file$`),
    methods: {
      GET: ({ args, context, exchange, site }) => download(site, context, exchange.head, args[0]!),
      PUT: ({ args, context, exchange, fault, site }) => {
        enforceMutating(context)
        return upload(site, context, exchange, args[0]!, fault)
      }
    },
    operations: { GET: "download", PUT: "upload" }
  },
  {
    path: new RegExp(`^/images/${id}/stage$`),
    methods: {
      PUT: ({ args, context, exchange, fault, site }) => {
        enforceMutating(context)
        return stage(site, context, exchange, args[0]!, fault)
      }
    },
    operations: { PUT: "stage" }
  },
  {
    path: new RegExp(`^/images/${id}/import$`),
    methods: {
      POST: async ({ args, context, exchange, fault, site }) => {
        const body = parseJson(await exchange.body.readAll())
        enforceMutating(context)
        return importImage(site, context, exchange.head, args[0]!, body, fault)
      }
    },
    operations: { POST: "import" }
  },
  {
    path: new RegExp(`^/images/${id}/tasks$`),
    methods: { GET: ({ args, context, site }) => json(200, { tasks: imageTasks(site, context, args[0]!) }) },
    operations: { GET: "tasks" }
  },
  { path: new RegExp(`^/images/${id}/actions/deactivate$`), methods: { POST: activation("deactivate") } },
  { path: new RegExp(`^/images/${id}/actions/reactivate$`), methods: { POST: activation("reactivate") } },
  { path: new RegExp(`^/images/${id}/tags/${id}$`), methods: { PUT: addTag, DELETE: removeTag } },
  { path: new RegExp(`^/stores/${id}/${id}$`), methods: { DELETE: destroyCopy } },
  { path: /^\/info\/import$/, methods: { GET: ({ site }) => json(200, importInfo(site)) } },
  { path: /^\/info\/stores$/, methods: { GET: ({ site }) => json(200, { stores: storesInfo(site.stores) }) } },
  { path: /^\/info\/stores\/detail$/, methods: { GET: storesDetail } },
  {
    path: /^\/info\/usage$/,
    methods: { GET: ({ context, site }) => json(200, { usage: site.quota.usage(context.projectId) }) }
  },
  { path: /^\/schemas\/image$/, methods: { GET: () => json(200, imageSchema) } },
  {
    path: /^\/schemas\/images$/,
    methods: {
      GET: () => json(200, imagesSchema)
    }
  }
]

const mayHaveBody = new Set(["POST", "PUT", "PATCH"])

const reject = async (exchange: Exchange, route: Route): Promise<never> => {
  const { method } = exchange.head
  // the real service reads a body as JSON before it finds that the method is wrong
  if (mayHaveBody.has(method) && !exchange.body.done) parseJson(await exchange.body.readAll())
  throw new HttpFailure(405, undefined, { headers: [["Allow", Object.keys(route.methods).join(", ")]] })
}

const dispatch = async (site: Site, context: Context, exchange: Exchange, path: string): Promise<Answer | Ending> => {
  for (const route of routes) {
    const match = route.path.exec(path)
    if (match === null) continue
    const { method } = exchange.head
    const handler = route.methods[method]
    if (handler === undefined) return reject(exchange, route)
    const operation = route.operations?.[method] ?? "any"
    const fault = await site.nextFault(operation, exchange, match[1])
    const call: Call = { site, context, exchange, args: match.slice(1), fault }
    if (operation === "upload" || operation === "stage" || fault === undefined) return handler(call)
    const struck = await strikeBefore(site, site.images.get(match[1]?.toLowerCase() ?? ""), fault)
    if (struck !== undefined) return struck
    const answer = await handler(call)
    if (fault.type === "answer" || fault.type === "drop") return struckAnswer(fault)
    if (fault.type === "delay" && fault.at !== "before") await site.sleep(fault.ms)
    return answer
  }
  throw new HttpFailure(404)
}

const longestRequestId = 64

const requestId = (exchange: Exchange, authenticated: boolean): string => {
  const asked = exchange.head.headers["x-openstack-request-id"]
  if (!authenticated || asked === undefined || asked === "") return `req-${randomUUID()}`
  return asked.startsWith("req-") ? asked : `req-${asked}`
}

const withRequestId = (answer: Answer | Ending, requestId: string): Answer | Ending =>
  typeof answer === "string" || answer.anonymous === true
    ? answer
    : { ...answer, headers: [...(answer.headers ?? []), ["x-openstack-request-id", requestId]] }

const emptyText = [
  ["Content-Type", "text/plain; charset=utf8"],
  ["Content-Length", "0"]
] as const

/** A text answer of the plain kind. */
const text = (status: number, body: string, headers: ReadonlyArray<readonly [string, string]> = []): Answer => ({
  status,
  headers: [["Content-Type", "text/plain; charset=UTF-8"], ["Content-Length", String(body.length)], ...headers],
  body
})

export const makeApp =
  (site: Site, authenticator: Authenticator | undefined, allowAnonymous: boolean) =>
  async (exchange: Exchange): Promise<Answer | Ending> => {
    const { head } = exchange
    const origin = `http://${head.headers["host"] ?? "localhost"}`
    const page = (error: unknown): Answer | Ending => {
      if (exchange.wire.lost) return "reset"
      const failure = error instanceof HttpFailure ? error : new HttpFailure(500)
      return errorPage(failure, {
        method: head.method,
        accept: head.headers["accept"],
        contentType: head.headers["content-type"] ?? (site.manner === "eventlet" ? "text/plain" : undefined)
      })
    }
    if (head.path === "/healthcheck") return text(200, "OK")
    const [, first = "", ...rest] = head.path.split("/")
    if (first === "versions") return versions(site, origin, 200)
    if (!isVersion(site, first)) return versions(site, origin, 300)
    let context: Context
    try {
      context = await authenticate(authenticator, head.headers["x-auth-token"], allowAnonymous)
    } catch (error) {
      // the page is made in front of the part that adds the request id
      return page(error)
    }
    if (authenticator !== undefined && (head.headers["x-openstack-request-id"] ?? "").length > longestRequestId) {
      return page(new HttpFailure(500))
    }
    const answer =
      head.path === "/v2"
        ? ({ status: 302, headers: [["Location", `${origin}/v2/`], ...emptyText] } satisfies Answer)
        : await dispatch(site, context, exchange, `/${rest.join("/")}`).catch(page)
    return withRequestId(answer, requestId(exchange, authenticator !== undefined))
  }
