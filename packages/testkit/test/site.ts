/**
 * A started embedded Glance and the few calls that nearly every test makes.
 */
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import { afterEach } from "vitest"
import { type Outcome, send, type Sending } from "./raw.ts"

const open: Array<() => Promise<void>> = []

afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

/** Closes something after the test. */
export const closing = <T extends { readonly close: () => Promise<void> }>(thing: T): T => {
  open.push(thing.close)
  return thing
}

export interface TestSite {
  readonly glance: EmbeddedGlance.EmbeddedGlance
  readonly call: (method: string, path: string, body?: unknown, headers?: Sending["headers"]) => Promise<Outcome>
  readonly create: (values?: Record<string, unknown>, headers?: Sending["headers"]) => Promise<string>
  readonly put: (id: string, sending?: Partial<Sending>) => Promise<Outcome>
  readonly status: (id: string) => string | undefined
}

export const start = async (options: EmbeddedGlance.Options = {}): Promise<TestSite> => {
  const glance = closing(await EmbeddedGlance.start(options))
  const { port } = glance
  const call: TestSite["call"] = async (method, path, body, headers = {}) => {
    const outcome = await send({
      port,
      method,
      path,
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      ...(body === undefined
        ? { framing: "none" }
        : { body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)) })
    })
    outcome.socket.destroy()
    return outcome
  }
  return {
    glance,
    call,
    create: async (values = {}, headers = {}) => {
      const made = await call(
        "POST",
        "/v2/images",
        { disk_format: "raw", container_format: "bare", ...values },
        headers
      )
      if (made.status !== 201) throw new Error(`create answered ${made.status}: ${made.body}`)
      return (JSON.parse(made.body) as { id: string }).id
    },
    put: async (id, sending = {}) => {
      const outcome = await send({
        port,
        method: "PUT",
        path: `/v2/images/${id}/file`,
        body: Buffer.alloc(0),
        ...sending,
        headers: { "Content-Type": "application/octet-stream", ...sending.headers }
      })
      return outcome
    },
    status: (id) => glance.images.get(id)?.status
  }
}

/** Waits until something holds, at most two seconds. */
export const until = async (holds: () => boolean): Promise<void> => {
  for (let waited = 0; !holds(); waited += 5) {
    if (waited > 2000) throw new Error("it did not come to pass within two seconds")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Bytes that look like nothing, the same for the same seed. */
export const noise = (length: number, seed = 1): Buffer => {
  const bytes = Buffer.alloc(length)
  let state = seed >>> 0 || 1
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
  if (length > 511) bytes[511] = 0
  return bytes
}

export const manners = [{ manner: "eventlet" }, { manner: "uwsgi" }] as const
