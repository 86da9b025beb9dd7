/** Embedded clouds under names of their own, with images in them. */
import { Host } from "@headrace/core/Host"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"

export interface Cloud {
  readonly name: string
  readonly glance: EmbeddedGlance.EmbeddedGlance
  /** Makes an image that holds the text, or none, and gives its id. */
  readonly image: (values: Readonly<Record<string, unknown>>, content?: string, token?: string) => Effect.Effect<string>
  readonly post: (path: string) => Effect.Effect<void>
}

const send = (url: string, method: string, type: string, body: string, token?: string) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      headers: { "Content-Type": type, ...(token === undefined ? {} : { "X-Auth-Token": token }) },
      body
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`)
    return text
  })

/** A cloud that ends with the scope. */
export const cloud = (options?: EmbeddedGlance.Options) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => EmbeddedGlance.start(options)),
      (glance) => Effect.promise(() => glance.close())
    ),
    (glance): Cloud => ({
      // What is known of a cloud is remembered by its name.
      name: `c-${randomUUID().slice(0, 8)}`,
      glance,
      image: (values, content, token) =>
        Effect.gen(function* () {
          const formats = { disk_format: "raw", container_format: "bare" }
          const record = JSON.stringify({ ...formats, ...values })
          const made = yield* send(`${glance.url}/v2/images`, "POST", "application/json", record, token)
          const { id } = JSON.parse(made) as { readonly id: string }
          if (content !== undefined) {
            yield* send(`${glance.url}/v2/images/${id}/file`, "PUT", "application/octet-stream", content, token)
          }
          return id
        }),
      post: (path) => Effect.asVoid(send(`${glance.url}${path}`, "POST", "application/json", ""))
    })
  )

/** A machine on which these clouds are known. */
export const machine = (
  ...clouds: ReadonlyArray<Pick<Cloud, "name"> & { readonly glance: { readonly url: string } }>
) => {
  const entries = clouds.map(({ glance, name }) => [name, { auth_type: "none", auth: { endpoint: glance.url } }])
  const text = JSON.stringify({ clouds: Object.fromEntries(entries) as unknown })
  return Layer.mergeAll(
    NodeTransport.layer,
    Layer.succeed(
      Host,
      Host.of({
        env: Effect.succeed({}),
        cwd: Effect.succeed("/here"),
        home: Effect.succeed("/home"),
        readFile: (path) => Effect.succeed(path.endsWith("clouds.yaml") ? text : undefined)
      })
    )
  )
}
