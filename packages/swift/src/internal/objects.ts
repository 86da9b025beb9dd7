/**
 * What is in an account: looking at an object, listing names, making a container, deleting.
 */
import type { Digests } from "@headrace/core/Digest"
import * as Effect from "effect/Effect"
import { type Api, parse } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import type { Limits } from "./limits.ts"
import * as Names from "./names.ts"
import * as Platform from "./platform.ts"

/** An object as Swift describes it. */
export interface Found {
  readonly size: number | undefined
  /** Without quotes, in lower case. */
  readonly etag: string
  /** When it was written, as Swift orders the writes of one name; no two have the same. */
  readonly timestamp: string
  readonly kind: "plain" | "slo" | "dlo"
  /** Of a dynamic large object: `CONTAINER/PREFIX` of its segments, percent-encoded. */
  readonly dloPrefix: string | undefined
  readonly contentType: string | undefined
}

/** The ETag of a plain object is the MD5 of its bytes; that of a large one is no digest of them. */
export const digestsOf = ({ etag, kind }: Found): Digests =>
  kind === "plain" && /^[0-9a-f]{32}$/.test(etag) ? { md5: etag } : {}

export const unquoted = (etag: string | undefined): string =>
  (etag ?? "")
    .trim()
    .replace(/^"(.*)"$/, "$1")
    .toLowerCase()

const isTrue = (value: string | undefined): boolean => value?.toLowerCase() === "true"

export const read = (headers: Readonly<Record<string, string>>): Found => {
  const length = headers["content-length"]
  const dloPrefix = headers["x-object-manifest"]
  return {
    size: length === undefined || !/^\d+$/.test(length) ? undefined : Number(length),
    etag: unquoted(headers["etag"]),
    timestamp: headers["x-timestamp"] ?? headers["last-modified"] ?? "",
    kind: isTrue(headers["x-static-large-object"]) ? "slo" : dloPrefix === undefined ? "plain" : "dlo",
    dloPrefix,
    contentType: headers["content-type"]
  }
}

/** Looks at an object; `undefined` when there is none. */
export const look = (api: Api, container: string, object: string): Effect.Effect<Found | undefined, Fault.Fault> =>
  Effect.map(
    api.call({
      method: "HEAD",
      path: Names.pathOf(container, object),
      what: "the object cannot be looked at",
      accept: [404]
    }),
    ({ headers, status }) => (status === 404 ? undefined : read(headers))
  )

/** `CONTAINER/OBJECT` of each segment of a large object's manifest; none where it is gone meanwhile. */
export const manifest = (api: Api, container: string, object: string): Effect.Effect<string, Fault.Fault> =>
  Effect.map(
    api.call({
      method: "GET",
      path: `${Names.pathOf(container, object)}?multipart-manifest=get`,
      what: "the manifest of the large object cannot be read",
      accept: [404]
    }),
    ({ status, text }) => (status === 404 ? "" : text)
  )

export interface Listed {
  readonly name: string
  readonly bytes: number
  readonly hash: string
}

const entries = (text: string): ReadonlyArray<Listed> | undefined => {
  const json = parse(text)
  if (!Array.isArray(json)) return undefined
  return json.flatMap((entry: unknown): ReadonlyArray<Listed> => {
    if (typeof entry !== "object" || entry === null) return []
    const { bytes, hash, name } = entry as Readonly<Record<string, unknown>>
    return typeof name === "string" && typeof bytes === "number" && typeof hash === "string"
      ? [{ name, bytes, hash: hash.toLowerCase() }]
      : []
  })
}

/** All names that begin so, page by page; none where there is no container. */
export const list = (api: Api, container: string, prefix: string): Effect.Effect<ReadonlyArray<Listed>, Fault.Fault> =>
  Effect.gen(function* () {
    const all: Array<Listed> = []
    for (let marker = ""; ;) {
      const query = `format=json&prefix=${encodeURIComponent(prefix)}&marker=${encodeURIComponent(marker)}`
      const what = `the container "${container}" cannot be listed`
      const path = `${Names.pathOf(container)}?${query}`
      const reply = yield* api.call({ method: "GET", path, what, accept: [404] })
      if (reply.status === 404 || reply.status === 204) return all
      const page = entries(reply.text)
      if (page === undefined) return yield* Fault.make("Rejected", `${what}: the answer is no list`)
      const last = page.at(-1)
      if (last === undefined) return all
      all.push(...page)
      marker = last.name
    }
  })

/** The storage policy of a container, `""` where none is told; `undefined` when there is no container. */
export const policyOf = (api: Api, container: string): Effect.Effect<string | undefined, Fault.Fault> =>
  Effect.map(
    api.call({
      method: "HEAD",
      path: Names.pathOf(container),
      what: `the container "${container}" cannot be looked at`,
      accept: [404, 403]
    }),
    // Who may only write into it may not look at it.
    ({ headers, status }) => (status === 404 ? undefined : (headers["x-storage-policy"] ?? ""))
  )

export const makeContainer = (api: Api, container: string, policy: string): Effect.Effect<void, Fault.Fault> =>
  Effect.asVoid(
    api.call({
      method: "PUT",
      path: Names.pathOf(container),
      what: `there is no container "${container}", and it cannot be made`,
      headers: policy === "" ? {} : { "X-Storage-Policy": policy }
    })
  )

/** Deletes an object, a manifest without its segments; one that is not there is deleted. */
export const remove = (api: Api, container: string, object: string): Effect.Effect<void, Fault.Fault> =>
  Effect.asVoid(
    api.call({
      method: "DELETE",
      path: Names.pathOf(container, object),
      what: "what was made cannot be deleted",
      accept: [404]
    })
  )

const removedAll = (text: string): boolean => {
  const json = parse(text)
  const status: unknown = typeof json === "object" && json !== null ? Reflect.get(json, "Response Status") : undefined
  return typeof status === "string" && status.startsWith("200")
}

/** Deletes objects of one container, in bulk where that can be; those that bulk leaves, one by one. */
export const removeAll = (
  api: Api,
  limits: Limits,
  container: string,
  objects: ReadonlyArray<string>
): Effect.Effect<void, Fault.Fault> => {
  const each = (names: ReadonlyArray<string>) =>
    Effect.forEach(names, (name) => remove(api, container, name), { concurrency: 6, discard: true })
  const most = limits.bulkDelete
  if (most === undefined || objects.length < 2) return each(objects)
  const batches = Array.from({ length: Math.ceil(objects.length / most) }, (_, index) =>
    objects.slice(index * most, (index + 1) * most)
  )
  return Effect.forEach(
    batches,
    (names) =>
      Effect.flatMap(
        Effect.result(
          api.call({
            method: "POST",
            path: "?bulk-delete",
            what: "the segments cannot be deleted",
            headers: { "Content-Type": "text/plain" },
            body: Platform.utf8(names.map((name) => Names.pathOf(container, name).slice(1)).join("\n")),
            tries: 1
          })
        ),
        // Its status is 200 whatever came of it.
        (result) => (result._tag === "Success" && removedAll(result.success.text) ? Effect.void : each(names))
      ),
    { discard: true }
  )
}
