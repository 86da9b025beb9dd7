import * as FaultProxy from "@headrace/testkit/FaultProxy"
import { afterAll, assert, describe, it } from "vitest"
import { cert, key } from "./support/certificate.ts"
import { noise, runtime, upload } from "./support/upload.ts"
import * as Web from "./support/web.ts"

const bytes = noise(3_000_000)

/** A web server behind TLS. */
const secured = async (manner?: Web.Manner) => {
  const server = await Web.start(manner)
  const proxy = await FaultProxy.start({ target: { port: server.port }, tls: { cert, key } })
  return {
    server,
    url: `${proxy.url}/x`,
    [Symbol.asyncDispose]: async () => {
      await proxy.close()
      await server.close()
    }
  }
}

afterAll(() => runtime.dispose())

describe("over TLS", () => {
  it("the authority that is named is trusted, for looking, sending, reading and deleting", async () => {
    await using site = await secured({ store: (got) => got.subarray(0, 1000) })
    const tls = { verify: true, ca: cert }
    const { error } = await upload(bytes, { url: site.url, tls })
    assert.strictEqual(error?.reason._tag, "SizeMismatch", error?.message)
    assert.strictEqual(error?.left, "none")
    assert.strictEqual(site.server.methods(), "HEAD PUT HEAD HEAD DELETE")
    await using good = await secured()
    const read = await upload(bytes, { url: good.url, tls }, { verify: "destination" })
    assert.isUndefined(read.error, read.error?.message)
  })

  it("nobody else is: nothing is sent", async () => {
    await using site = await secured()
    const { error } = await upload(bytes, { url: site.url }, { retries: 0 })
    assert.strictEqual(error?.reason._tag, "ConnectionLost")
    assert.match(error?.message ?? "", /certificate is self-signed/)
    assert.strictEqual(site.server.seen.length, 0)
  })

  it("a redirect out of TLS is refused", async () => {
    await using plain = { ...(await Web.start()), [Symbol.asyncDispose]: () => plain.close() }
    await using site = await secured({
      instead: (request, response) => {
        if (request.method !== "PUT") return false
        response.writeHead(307, { Location: `${plain.url}/x?token=s3cret` }).end()
        return true
      }
    })
    const { error, told } = await upload(bytes, { url: site.url, tls: { verify: true, ca: cert } })
    assert.strictEqual(error?.reason._tag, "Rejected")
    assert.include(error?.message, `the server redirects to ${plain.url}, which is not encrypted`)
    assert.strictEqual(plain.seen.length, 0)
    assert.notInclude(told, "s3cret")
  })
})
