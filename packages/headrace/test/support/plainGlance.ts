/** An image service as it is, asked by plain `node:http`: a witness that shares no code with what is tested. */
import { type OutgoingHttpHeaders, request } from "node:http"

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

const call = (method: string, url: string, headers: OutgoingHttpHeaders, body?: Uint8Array | string) =>
  new Promise<Answer>((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (answer) => {
      const pieces: Array<Buffer> = []
      answer.on("data", (piece: Buffer) => pieces.push(piece))
      answer.on("error", reject)
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces) })
      )
    })
    sent.on("error", reject)
    sent.end(body)
  })

/** Signs in as the user of the project, both of the default domain; gives a token. */
export const signIn = async (keystone: string, user: string, password: string, project: string): Promise<string> => {
  const domain = { name: "Default" }
  const auth = {
    identity: { methods: ["password"], password: { user: { name: user, domain, password } } },
    scope: { project: { name: project, domain } }
  }
  const body = JSON.stringify({ auth })
  const answer = await call("POST", `${keystone}/auth/tokens`, { "content-type": "application/json" }, body)
  if (answer.status !== 201) throw new Error(`Keystone answered ${answer.status}: ${answer.body.toString()}`)
  return String(answer.headers["x-subject-token"])
}

export interface PlainGlance {
  /** What the service says of an image. */
  readonly record: (id: string) => Promise<Readonly<Record<string, unknown>>>
  /** How many images have this name. */
  readonly count: (name: string) => Promise<number>
  readonly bytes: (id: string) => Promise<Buffer>
  /** Makes a raw image that holds the bytes, and gives its id. */
  readonly put: (name: string, bytes: Uint8Array) => Promise<string>
  readonly remove: (id: string) => Promise<void>
}

export const plainGlance = (url: string, token: string): PlainGlance => {
  const ask = async (
    method: string,
    path: string,
    status: number,
    type?: string,
    body?: Uint8Array | string
  ): Promise<Buffer> => {
    const headers = { "x-auth-token": token, ...(type === undefined ? undefined : { "content-type": type }) }
    const answer = await call(method, `${url}/v2/images${path}`, headers, body)
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.body.toString()}`)
    return answer.body
  }
  const json = (bytes: Buffer): Record<string, unknown> => JSON.parse(bytes.toString("utf8"))
  return {
    record: async (id) => json(await ask("GET", `/${id}`, 200)),
    count: async (name) => {
      const found = json(await ask("GET", `?name=${encodeURIComponent(name)}`, 200))
      return (found["images"] as ReadonlyArray<unknown>).length
    },
    bytes: (id) => ask("GET", `/${id}/file`, 200),
    put: async (name, bytes) => {
      const wanted = JSON.stringify({ name, disk_format: "raw", container_format: "bare" })
      const id = String(json(await ask("POST", "", 201, "application/json", wanted))["id"])
      await ask("PUT", `/${id}/file`, 204, "application/octet-stream", bytes)
      return id
    },
    remove: async (id) => {
      await ask("DELETE", `/${id}`, 204)
    }
  }
}
