import { assert, describe, it } from "vitest"
import { again, type Outcome, type Sending } from "./raw.ts"
import { noise, start, type TestSite } from "./site.ts"

const MiB = 1024 * 1024

/** A second request on the connection of a first one; `undefined` when there is no answer to it within 300 ms. */
const next = async (site: TestSite, outcome: Outcome): Promise<number | undefined> =>
  (await again(outcome, { port: site.glance.port, path: "/versions", framing: "none", timeoutMs: 300 })).status

/** An upload that is refused: the image is active already. */
const refused = async (site: TestSite, sending: Partial<Sending>): Promise<Outcome> => {
  const id = await site.create()
  await site.put(id)
  return site.put(id, { body: noise(16 * MiB), ...sending })
}

describe("eventlet", () => {
  it.each(["length", "chunked"] as const)("sends 100 Continue at the first read (%s)", async (framing) => {
    const site = await start()
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(MiB), framing, expectMs: 2000 })
    assert.isTrue(outcome.continued)
    assert.strictEqual(outcome.status, 204)
    assert.isTrue(site.glance.requests.at(-1)?.continued)
  })

  it("sends no 100 before a rejection, says close, and closes", async () => {
    const site = await start()
    const outcome = await refused(site, { expectMs: 2000 })
    assert.strictEqual(outcome.status, 409)
    assert.isFalse(outcome.continued)
    assert.strictEqual(outcome.sentBefore, 0)
    assert.strictEqual(outcome.headers["connection"], "close")
    assert.strictEqual(outcome.ended, "fin")
  })

  it("answers early, swallows the rest, and keeps the connection", async () => {
    const site = await start()
    for (const framing of ["length", "chunked"] as const) {
      const outcome = await refused(site, { framing, deaf: true })
      assert.strictEqual(outcome.status, 409)
      assert.isBelow(outcome.sentBefore, 16 * MiB)
      assert.strictEqual(outcome.sent, 16 * MiB)
      assert.notProperty(outcome.headers, "connection")
      assert.strictEqual(outcome.ended, "open")
      assert.strictEqual(await next(site, outcome), 200)
      assert.strictEqual(site.glance.requests.find((each) => each.status === 409)?.bodyBytes, 16 * MiB)
      outcome.socket.destroy()
    }
  })

  it("takes the next request for body when the client stopped in the middle", async () => {
    const site = await start()
    const outcome = await refused(site, {})
    assert.isBelow(outcome.sent, 16 * MiB)
    assert.isUndefined(await next(site, outcome))
    outcome.socket.destroy()
  })

  it("keeps the connection after an upload and after a GET", async () => {
    const site = await start()
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(1000) })
    assert.notProperty(outcome.headers, "connection")
    assert.property(outcome.headers, "date")
    assert.strictEqual(await next(site, outcome), 200)
    assert.strictEqual(site.glance.requests.at(-1)?.connection, site.glance.requests.at(-2)?.connection)
    outcome.socket.destroy()
  })

  it("closes when it is asked to", async () => {
    const site = await start()
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(10), headers: { Connection: "close" } })
    assert.strictEqual(outcome.headers["connection"], "close")
    assert.strictEqual(outcome.ended, "fin")
  })

  it.each(["abc", "-5"])("answers 400 without a body to Content-Length %s", async (declared) => {
    const site = await start()
    const id = await site.create()
    const outcome = await site.put(id, { declared })
    assert.strictEqual(outcome.status, 400)
    assert.strictEqual(outcome.body, "")
    assert.strictEqual(outcome.headers["connection"], "close")
    assert.strictEqual(site.status(id), "queued")
  })

  it("answers 400 to a chunk size that is none", async () => {
    const site = await start()
    const id = await site.create()
    const outcome = await site.put(id, {
      body: noise(100_000),
      framing: "chunked",
      stopAfter: 65_536,
      tail: "zz\r\nabc\r\n0\r\n\r\n"
    })
    assert.strictEqual(outcome.status, 400)
    assert.include(outcome.body, "invalid literal for int() with base 16: b&#x27;zz&#x27;")
    assert.strictEqual(site.status(id), "queued")
  })

  it("takes HTTP chunks of any size", async () => {
    const site = await start()
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(8 * MiB), framing: "chunked", piece: 4 * MiB })
    assert.strictEqual(outcome.status, 204)
    assert.strictEqual(site.glance.requests.at(-1)?.largestChunk, 4 * MiB)
  })
})

describe("uwsgi", () => {
  const uwsgi = () => start({ manner: "uwsgi" })

  it.each(["length", "chunked"] as const)("never sends 100 Continue (%s)", async (framing) => {
    const site = await uwsgi()
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(MiB), framing, expectMs: 150 })
    assert.isFalse(outcome.continued)
    assert.strictEqual(outcome.status, 204)
  })

  it("answers a rejection at once where a 100 is waited for", async () => {
    const site = await uwsgi()
    const outcome = await refused(site, { expectMs: 2000 })
    assert.strictEqual(outcome.status, 409)
    assert.strictEqual(outcome.sentBefore, 0)
  })

  it.each(["length", "chunked"] as const)("answers early to a client that looks, and closes (%s)", async (framing) => {
    const site = await uwsgi()
    const outcome = await refused(site, { framing, stopAfter: 65_536, then: "silence" })
    assert.strictEqual(outcome.status, 409)
    assert.strictEqual(outcome.headers["connection"], "close")
    assert.notStrictEqual(outcome.ended, "open")
  })

  it.each(["length", "chunked"] as const)(
    "never takes the rest from a client that goes on sending (%s)",
    async (framing) => {
      const site = await uwsgi()
      const outcome = await refused(site, { framing, deaf: true })
      // whether Node still reads the answer then is a matter of luck, with the real service too
      assert.include([409, undefined], outcome.status)
      assert.isBelow(outcome.sent, 16 * MiB)
      assert.notStrictEqual(outcome.ended, "open")
      assert.strictEqual(site.glance.requests.at(-1)?.status, 409)
      assert.strictEqual(site.glance.requests.at(-1)?.bodyBytes, 0)
    }
  )

  it("says Connection: close in each answer, and closes", async () => {
    const site = await uwsgi()
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(1000) })
    assert.strictEqual(outcome.headers["connection"], "close")
    assert.notProperty(outcome.headers, "date")
    assert.strictEqual(outcome.ended, "fin")
    const shown = await site.call("GET", `/v2/images/${id}`)
    assert.strictEqual(shown.headers["connection"], "close")
    assert.strictEqual(shown.ended, "fin")
  })

  it("takes HTTP chunks of 1,048,567 bytes", async () => {
    const site = await uwsgi()
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(4 * MiB), framing: "chunked", piece: 1_048_567 })
    assert.strictEqual(outcome.status, 204)
    assert.strictEqual(site.glance.requests.at(-1)?.largestChunk, 1_048_567)
  })

  it.each([1_048_568, MiB, 4 * MiB])("answers 500 to an HTTP chunk of %i bytes", async (size) => {
    const site = await uwsgi()
    const id = await site.create()
    const outcome = await site.put(id, {
      framing: "none",
      headers: { "Transfer-Encoding": "chunked" },
      tail: `${size.toString(16)}\r\nsome of it`
    })
    assert.strictEqual(outcome.status, 500)
    assert.strictEqual(site.status(id), "queued")
  })

  it("takes larger chunks where the limit was raised", async () => {
    const site = await start({ manner: "uwsgi", chunkLimit: 4 * MiB })
    const id = await site.create()
    assert.strictEqual((await site.put(id, { body: noise(4 * MiB), framing: "chunked", piece: 4 * MiB })).status, 204)
  })

  it("takes a chunk size that is none for the end, unless the size was promised", async () => {
    const site = await uwsgi()
    const broken = { body: noise(100_000), framing: "chunked", stopAfter: 65_536, tail: "zz\r\nabc\r\n" } as const
    const silent = await site.create()
    assert.strictEqual((await site.put(silent, broken)).status, 204)
    assert.strictEqual(site.glance.images.get(silent)?.size, 65_536)
    const promised = await site.create()
    const outcome = await site.put(promised, { ...broken, headers: { "x-openstack-image-size": "100000" } })
    assert.strictEqual(outcome.status, 400)
    assert.strictEqual(site.status(promised), "queued")
  })

  it("reads Content-Length abc as nothing, and -5 as a size", async () => {
    const site = await uwsgi()
    const one = await site.create()
    assert.strictEqual((await site.put(one, { declared: "abc" })).status, 204)
    assert.strictEqual(site.glance.images.get(one)?.size, 0)
    const two = await site.create()
    const outcome = await site.put(two, { declared: "-5" })
    assert.strictEqual(outcome.status, 400)
    assert.include(outcome.body, "Size mismatch: expected -5 bytes")
  })
})

describe("error pages", () => {
  it("are what the client accepts", async () => {
    const site = await start()
    const path = "/v2/images/00000000-0000-4000-8000-000000000000"
    const page = async (accept: string | undefined) => site.call("GET", path, undefined, { Accept: accept })
    const html = await page("text/html, */*")
    assert.strictEqual(html.headers["content-type"], "text/html; charset=UTF-8")
    assert.include(
      html.body,
      "<h1>404 Not Found</h1>\n  No image found with ID 00000000-0000-4000-8000-000000000000<br />"
    )
    const json = await page("application/json")
    assert.strictEqual(json.headers["content-type"], "application/json")
    assert.strictEqual((JSON.parse(json.body) as { code: string }).code, "404 Not Found")
    const plain = await page(undefined)
    assert.strictEqual(plain.headers["content-type"], "text/plain; charset=UTF-8")
    assert.match(plain.body, /^404 Not Found\n\nNo image found with ID/)
  })

  it("quote the request id that the client sent, up to a length", async () => {
    const site = await start({ auth: "fake" })
    const ask = (id: string) =>
      site.call("GET", "/v2/images", undefined, { "X-Auth-Token": "u:p:member", "X-OpenStack-Request-ID": id })
    assert.strictEqual((await ask("req-of-mine")).headers["x-openstack-request-id"], "req-of-mine")
    assert.strictEqual((await ask("of-mine")).headers["x-openstack-request-id"], "req-of-mine")
    assert.strictEqual((await ask("x".repeat(65))).status, 500)
  })
})

describe("versions", () => {
  const versions = async (site: TestSite, path: string) => {
    const outcome = await site.call("GET", path)
    const body = JSON.parse(outcome.body) as { versions: ReadonlyArray<{ id: string; status: string }> }
    return {
      status: outcome.status,
      ids: body.versions.map((version) => version.id).join(" "),
      first: body.versions[0]
    }
  }

  it("name 2.8 and 2.10 to 2.13 only where there are several stores", async () => {
    const many = [{ id: "a" }, { id: "b" }]
    const expected = [
      [{}, "v2.16 v2.15 v2.14 v2.9 v2.7 v2.6 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0"],
      [{ stores: many }, "v2.16 v2.15 v2.14 v2.13 v2.12 v2.11 v2.10 v2.9 v2.8 v2.7 v2.6 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0"],
      [{ manner: "uwsgi" }, "v2.18 v2.17 v2.16 v2.15 v2.14 v2.9 v2.7 v2.6 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0"],
      [
        { manner: "uwsgi", stores: many },
        "v2.18 v2.17 v2.16 v2.15 v2.14 v2.13 v2.12 v2.11 v2.10 v2.9 v2.8 v2.7 v2.6 v2.5 v2.4 v2.3 v2.2 v2.1 v2.0"
      ]
    ] as const
    for (const [options, ids] of expected) {
      const site = await start(options)
      const found = await versions(site, "/versions")
      assert.strictEqual(found.ids, ids)
      assert.strictEqual(found.first?.status, "CURRENT")
    }
  })

  it("are answered with 300 at the root and to unknown versions, without a token", async () => {
    const site = await start({ auth: "fake" })
    assert.strictEqual((await versions(site, "/")).status, 300)
    assert.strictEqual((await versions(site, "/v1/images")).status, 300)
    assert.strictEqual((await versions(site, "/versions")).status, 200)
    assert.strictEqual((await site.call("GET", "/healthcheck")).status, 200)
  })

  it("take an older version's path", async () => {
    const site = await start()
    assert.strictEqual((await site.call("GET", "/v2.7/images")).status, 200)
    assert.strictEqual((await site.call("GET", "/v2.8/images")).status, 300)
  })
})
