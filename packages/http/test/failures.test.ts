/**
 * What goes wrong at a web server or on the way to it, on real wires, and what is left behind.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer, type Socket } from "node:net"
import type { Receipt } from "@headrace/core/Receipt"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import * as FaultServer from "@headrace/testkit/FaultServer"
import type * as HttpStore from "@headrace/http/HttpStore"
import * as Effect from "effect/Effect"
import { afterAll, afterEach, assert, describe, it } from "vitest"
import { noise, type Outcome, runtime, unsized, upload } from "./support/upload.ts"
import * as Web from "./support/web.ts"

const bytes = noise(3_000_000)
const small = noise(50_000, 2)
const open: Array<{ readonly close: () => Promise<void> }> = []

const web = async (manner?: Web.Manner) => {
  const made = await Web.start(manner)
  open.push(made)
  return made
}

/** A server with a proxy in front that fails on purpose at requests of one method. */
const behind = async (manner: Web.Manner, faults: ReadonlyArray<FaultProxy.ProxyFault>, method = "PUT") => {
  const server = await web(manner)
  const proxy = await FaultProxy.start({
    target: { port: server.port },
    match: (request) => request.method === method,
    faults
  })
  open.push(proxy)
  return { server, url: `${proxy.url}/x` }
}

const script = async (plan: FaultServer.Handler) => {
  const made = await FaultServer.start(plan)
  open.push(made)
  return made
}

const reports = (stored: Buffer) => ({ "Repr-Digest": `sha-256=:${Web.base64("sha256", stored)}:` })

const isWrite = ({ method }: { readonly method?: string | undefined }) => method === "PUT" || method === "POST"

const writes = (server: Web.Web) => server.seen.filter(isWrite)

const failed = ({ error }: Outcome, reason: string, message?: RegExp, left?: string) => {
  if (error === undefined) return assert.fail("it succeeded")
  assert.strictEqual(error.reason._tag, reason, error.message)
  assert.notInclude(error.message, "\n")
  if (message !== undefined) assert.match(error.message, message)
  if (left !== undefined) assert.strictEqual(error.left, left)
  return error
}

const fine = ({ error, receipt }: Outcome, status: "verified" | "stored") => {
  assert.isUndefined(error, error?.message)
  assert.strictEqual(receipt.destinations[0]!.status, status)
  return receipt.destinations[0]!
}

afterEach(() => Promise.all(open.splice(0).map((one) => one.close())))
afterAll(() => runtime.dispose())

const page = "<html><head><title>No\nway</title></head><body><h1>stack trace</h1></body></html>"

describe("a refusal", () => {
  for (const [status, reason, message] of [
    [400, "Rejected", /^the object was not taken: 400 Bad Request: No way$/],
    [401, "Unauthorized", /the server wants credentials \(401 Unauthorized: No way\); it offers digest$/],
    [403, "Forbidden", /403 Forbidden: No way$/],
    [404, "NotFound", /404 Not Found/],
    [405, "Unsupported", /the server takes no PUT there \(405 Method Not Allowed/],
    [409, "Conflict", /409 Conflict/],
    [410, "Gone", /410 Gone/],
    [411, "Rejected", /411 Length Required/],
    [412, "Conflict", /a condition does not hold/],
    [413, "TooLarge", /413 Content Too Large/],
    [415, "UnsupportedFormat", /the server does not take application\/octet-stream/],
    [423, "Conflict", /423 Locked/],
    [501, "Unsupported", /the server takes no PUT there/],
    [507, "QuotaExceeded", /507 Insufficient Storage/]
  ] as const) {
    for (const when of ["before", "after"] as const) {
      it(`${status} ${when} the body is believed, and is one attempt`, async () => {
        const server = await web({
          instead: (request, response) => {
            if (!isWrite(request)) return false
            const answer = () =>
              void response
                .writeHead(status, {
                  "Content-Type": "text/html",
                  ...(status === 401 ? { "WWW-Authenticate": 'Digest realm="a, b", nonce="c"' } : undefined)
                })
                .end(page)
            if (when === "after") return Web.afterBody(request, response, answer)
            answer()
            return true
          }
        })
        const outcome = await upload(bytes, { url: `${server.url}/x` })
        const error = failed(outcome, reason, message, "none")
        assert.strictEqual(error.status, status)
        assert.notInclude(error.message, "stack trace")
        assert.isFalse(error.retryable)
        assert.strictEqual(writes(server).length, 1)
        assert.strictEqual(outcome.receipt.destinations[0]!.bytesSent, when === "before" ? 0 : bytes.length)
        assert.notInclude(server.methods(), "DELETE")
      })
    }
  }

  for (const status of [408, 425, 429, 500, 502, 503, 504]) {
    it(`${status} is tried again`, async () => {
      const server = await web({
        reports,
        instead: (request, response) => {
          if (!isWrite(request) || writes(server).length > 1) return false
          response.writeHead(status, { "Retry-After": "1", "Content-Type": "text/html" }).end(page)
          return true
        }
      })
      const startedAt = performance.now()
      const outcome = await upload(bytes, { url: `${server.url}/x` })
      fine(outcome, "verified")
      assert.strictEqual(writes(server).length, 2)
      assert.isAtLeast(performance.now() - startedAt, 1000, "Retry-After was not honoured")
      const retry = outcome.events.find(({ type }) => type === "retry")
      assert.deepInclude(retry, { reason: "Unavailable", status })
    })
  }

  it("that goes on ends after the retries, and says so", async () => {
    const server = await web({
      instead: (request, response) => {
        if (!isWrite(request)) return false
        response.writeHead(503).end()
        return true
      }
    })
    const outcome = await upload(small, { url: `${server.url}/x` }, { retries: 1 })
    failed(outcome, "Unavailable", /the server answered 503 Service Unavailable$/, "none")
    assert.strictEqual(writes(server).length, 2)
  })

  it("for want of a size is said as that", async () => {
    for (const [status, message] of [
      [411, /the server wants to know the size first/],
      [501, /takes no PUT there, or none of unknown size/]
    ] as const) {
      const server = await web({
        instead: (request, response) => {
          if (!isWrite(request)) return false
          response.writeHead(status).end()
          return true
        }
      })
      failed(await upload(unsized(bytes), { url: `${server.url}/x` }), "Unsupported", message, "none")
    }
  })

  it("in JSON, XML and text is one line", async () => {
    for (const [body, message] of [
      ['{"error":{"message":"no\\u001b[31m room"}}', /400 Bad Request: no \[31m room$/],
      ['<?xml version="1.0"?><Error><Code>NoKey</Code><Message>Gone</Message></Error>', /: NoKey: Gone$/],
      ["first\nsecond", /: first$/],
      [`${"x".repeat(500)}`, /: x{199}…$/],
      ["{broken", /400 Bad Request$/],
      ["", /400 Bad Request$/]
    ] as const) {
      const server = await web({
        instead: (request, response) => {
          if (!isWrite(request)) return false
          response.writeHead(400).end(body)
          return true
        }
      })
      failed(await upload(small, { url: `${server.url}/x` }), "Rejected", message)
    }
  })

  it("with a truncated page is a refusal all the same", async () => {
    const { url } = await behind(
      {
        instead: (request, response) =>
          isWrite(request) && Web.afterBody(request, response, () => void response.writeHead(403).end(page))
      },
      [{ type: "cutAnswer", afterBytes: 10, how: "reset" }]
    )
    failed(await upload(small, { url }), "Forbidden", /403 Forbidden$/, "none")
  })

  it("by an expectation that is not known is no refusal", async () => {
    const server = await web({
      instead: (request, response) => {
        if (request.headers.expect === undefined) return false
        response.writeHead(417).end()
        return true
      }
    })
    fine(await upload(bytes, { url: `${server.url}/x` }), "stored")
  })
})

/** A server in raw TCP: it shows nothing, and each body meets the next of these. */
const raw = (...steps: ReadonlyArray<(connection: FaultServer.Connection) => Promise<void>>) => {
  let next = 0
  return script(async (connection) => {
    while (true) {
      const { method } = await connection.readHead()
      if (method === "PUT") await steps[Math.min(next++, steps.length - 1)]!(connection)
      else await connection.respond(404)
    }
  })
}

const take = async (connection: FaultServer.Connection) => {
  await connection.readBody()
  await connection.respond(201)
}

describe("on the wire", () => {
  it("no 100 Continue, ever: the body is sent all the same", async () => {
    const server = await raw(take)
    fine(await upload(bytes, { url: `${server.url}/x` }), "stored")
    const request = server.requests.find(isWrite)
    assert.strictEqual(request!.headers["expect"], "100-continue")
    assert.strictEqual(request!.bodyBytes, bytes.length)
  })

  it("a refusal in the middle of the body is read, though nobody reads the body", async () => {
    const server = await raw(async (connection) => {
      await connection.sendContinue()
      await connection.readBody(100_000)
      await connection.respond(413, [["Connection", "close"]], "too much")
      await connection.wait(200)
      await connection.close()
    })
    const big = noise(30_000_000)
    const outcome = await upload(big, { url: `${server.url}/x` })
    failed(outcome, "TooLarge", /413 Content Too Large: too much$/)
    assert.isBelow(outcome.receipt.destinations[0]!.bytesSent, big.length)
  })

  it("a success before the end of the body is none", async () => {
    for (const source of [bytes, unsized(bytes)]) {
      const server = await raw(
        async (connection) => {
          await connection.sendContinue()
          await connection.readBody(100_000)
          await connection.respond(200)
          await connection.idle()
        },
        async (connection) => {
          await connection.sendContinue()
          await take(connection)
        }
      )
      const outcome = await upload(source, { url: `${server.url}/x` })
      fine(outcome, "stored")
      assert.strictEqual(server.requests.filter(isWrite).length, 2)
      const retry = outcome.events.find(({ type }) => type === "retry") as { readonly message: string }
      assert.match(retry.message, /the server called it complete \(200\) after \d+( of 3000000)? bytes$/)
    }
  })

  it("trailers follow the chunks byte for byte", async () => {
    const received: Array<Buffer> = []
    const sockets: Array<Socket> = []
    const server = createServer((socket) => {
      sockets.push(socket)
      let all = Buffer.alloc(0)
      socket.on("data", (chunk) => {
        all = Buffer.concat([all, chunk])
        const text = all.toString("latin1")
        if (
          text.startsWith("PUT") ? text.endsWith("\r\n\r\n") && text.includes("\r\n0\r\n") : text.endsWith("\r\n\r\n")
        ) {
          if (text.startsWith("PUT")) received.push(all)
          all = Buffer.alloc(0)
          socket.write(`HTTP/1.1 ${text.startsWith("PUT") ? 201 : 404} X\r\nContent-Length: 0\r\n\r\n`)
        } else if (text.startsWith("PUT") && text.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 100 Continue\r\n\r\n")
      })
      socket.on("error", () => {})
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as { readonly port: number }
    try {
      const body = Buffer.from("hello, world")
      fine(await upload(body, { url: `http://127.0.0.1:${port}/x`, digestTrailers: true }), "stored")
      const digest = `sha-256=:${Web.base64("sha256", body)}:`
      const [head, ...rest] = received[0]!.toString("latin1").split("\r\n\r\n")
      assert.match(head!, /\r\nTransfer-Encoding: chunked(\r\n|$)/)
      assert.match(head!, /\r\nTrailer: Repr-Digest(\r\n|$)/)
      assert.strictEqual(rest.join("\r\n\r\n"), `c\r\nhello, world\r\n0\r\nRepr-Digest: ${digest}\r\n\r\n`)
    } finally {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  })

  for (const how of ["reset", "close"] as const) {
    it(`a ${how} in the body: sent again from the start`, async () => {
      const { server, url } = await behind({ reports }, [{ type: "cutRequest", afterBytes: 1_500_000, how }])
      const outcome = await upload(bytes, { url })
      assert.strictEqual(fine(outcome, "verified").attempts, 2)
      assert.isTrue(server.objects.get("/x")!.equals(bytes))
    })

    it(`a ${how} instead of the answer: success by the digest, without another body`, async () => {
      const { server, url } = await behind({ reports }, [{ type: "dropAnswer", how }])
      assert.strictEqual(fine(await upload(bytes, { url }), "verified").attempts, 1)
      assert.strictEqual(writes(server).length, 1)
    })
  }

  it("no answer in time: success by the digest", async () => {
    const { server, url } = await behind({ reports }, [{ type: "dropAnswer", how: "hang" }])
    fine(await upload(bytes, { url }, { answerMs: 500 }), "verified")
    assert.strictEqual(writes(server).length, 1)
  })

  it("a gateway's error over a success: success by the digest", async () => {
    const { server, url } = await behind({ reports }, [{ type: "replaceAnswer", status: 502 }])
    fine(await upload(bytes, { url }), "verified")
    assert.strictEqual(writes(server).length, 1)
  })

  it("a lost answer that no digest can replace: sent again", async () => {
    const { server, url } = await behind({}, [{ type: "dropAnswer", how: "reset" }])
    assert.strictEqual(fine(await upload(bytes, { url }), "stored").attempts, 2)
    assert.strictEqual(writes(server).length, 2)
  })

  it("a lost answer, and the object of before: never taken for ours, though its bytes are the same", async () => {
    let keep = true
    const manner = {
      reports,
      store: (got: Buffer) => (keep ? undefined : got),
      taken: (response: ServerResponse) => {
        keep = false
        response.writeHead(204).end()
      }
    }
    const { server, url } = await behind(manner, [{ type: "dropAnswer", how: "reset" }])
    server.objects.set("/x", Buffer.from(bytes))
    assert.strictEqual(fine(await upload(bytes, { url }), "verified").attempts, 2)
    assert.strictEqual(writes(server).length, 2)
  })

  it("no answer, and nothing to be seen: it may still come, so nobody says that there is nothing", async () => {
    const lost = { type: "dropAnswer", how: "reset" } as const
    const { url } = await behind({ store: () => undefined }, [lost, lost])
    failed(await upload(bytes, { url }, { retries: 1 }), "ConnectionLost", undefined, `unknown ${url}`)
  })

  it("a server that keeps what came of a cut body: never taken for the whole, and deleted in the end", async () => {
    const cut = { type: "cutRequest", afterBytes: 1_500_000, how: "reset" } as const
    const again = await behind({ keepsCut: true }, [cut])
    fine(await upload(bytes, { url: again.url }), "stored")
    assert.isTrue(again.server.objects.get("/x")!.equals(bytes))
    const never = await behind({ keepsCut: true }, [cut, cut])
    failed(await upload(bytes, { url: never.url }, { retries: 1 }), "ConnectionLost", undefined, "none")
    assert.isFalse(never.server.objects.has("/x"))
    assert.include(never.server.methods(), "DELETE")
  })

  it("a stall in the body: sent again", async () => {
    const { url } = await behind({ reports }, [{ type: "stallRequest", afterBytes: 1_000_000 }])
    const outcome = await upload(noise(20_000_000), { url }, { stallMs: 400 })
    fine(outcome, "verified")
    assert.deepInclude(
      outcome.events.find(({ type }) => type === "retry"),
      { reason: "Stalled" }
    )
  })

  it("a gateway's answer in the middle of the body: sent again", async () => {
    const { url } = await behind({ reports }, [{ type: "answerEarly", afterBytes: 1_000_000, status: 503 }])
    assert.strictEqual(fine(await upload(bytes, { url }), "verified").attempts, 2)
  })

  it("nobody is there: failed, and nothing is left", async () => {
    const server = await web()
    await server.close()
    failed(await upload(small, { url: `${server.url}/x` }, { retries: 1 }), "ConnectionLost", /refused/, "none")
  })

  it("a source of one reading is not sent twice", async () => {
    const { server, url } = await behind({}, [{ type: "cutRequest", afterBytes: 1_500_000, how: "reset" }])
    failed(await upload(unsized(bytes, false), { url }), "ConnectionLost", undefined, "none")
    assert.strictEqual(writes(server).length, 1)
  })

  it("a POST that may have been taken is not sent again", async () => {
    const { server, url } = await behind({}, [{ type: "dropAnswer", how: "reset" }], "POST")
    const outcome = await upload(bytes, { url, method: "POST" })
    failed(outcome, "ConnectionLost", /a POST that may have been taken is not sent again$/, `unknown ${url}`)
    assert.strictEqual(writes(server).length, 1)
  })

  it("a POST that was cut in the middle is sent again", async () => {
    const { server, url } = await behind({}, [{ type: "cutRequest", afterBytes: 1_500_000, how: "reset" }], "POST")
    const { notes } = fine(await upload(bytes, { url, method: "POST" }), "stored")
    assert.strictEqual(writes(server).length, 2)
    assert.match(notes!.join(), /does not say where it is/)
  })

  it("interrupted in the middle of the body: nothing is left", async () => {
    const { server, url } = await behind({}, [{ type: "slowRequest", bytesPerSecond: 500_000 }])
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 400)
    const told: Array<TransferEvent> = []
    const onEvent = (event: TransferEvent) => Effect.sync(() => void told.push(event))
    const ended = await upload(bytes, { url }, { onEvent }, stop.signal).then(
      () => "ended",
      () => "interrupted"
    )
    assert.strictEqual(ended, "interrupted")
    const receipt = told.at(-1) as Receipt
    assert.strictEqual(receipt.destinations[0]!.status, "cancelled")
    assert.isAbove(receipt.destinations[0]!.bytesSent, 0)
    assert.strictEqual(receipt.destinations[0]!.error!.left, "none")
    assert.isFalse(server.objects.has("/x"))
  })
})

describe("wrong bytes at the server", () => {
  const flip = (got: Buffer) => {
    const wrong = Buffer.from(got)
    wrong[1_000] = wrong[1_000]! ^ 1
    return wrong
  }

  for (const [how, verify, manner] of [
    ["found by the digest that it reports", "transfer", { reports, store: flip }],
    ["found by reading them back", "destination", { store: flip }]
  ] as const) {
    it(`${how}: what is new is deleted`, async () => {
      const server = await web(manner)
      failed(await upload(bytes, { url: `${server.url}/x` }, { verify }), "DigestMismatch", /sha256/, "none")
      assert.isFalse(server.objects.has("/x"))
      assert.strictEqual(writes(server).length, 1)
    })
  }

  it("where something was before: left, and said", async () => {
    const server = await web({ reports, store: flip })
    server.objects.set("/x", small)
    const url = `${server.url}/x`
    failed(await upload(bytes, { url }), "DigestMismatch", /sha256/, `object ${url}`)
    assert.notInclude(server.methods(), "DELETE")
  })

  it("left when told to keep them, and where the server does not delete", async () => {
    for (const keepFailed of [true, false]) {
      const server = await web({
        store: (got) => got.subarray(0, 1_000_000),
        instead: (request, response) => {
          if (request.method !== "DELETE") return false
          response.writeHead(405).end()
          return true
        }
      })
      const url = `${server.url}/x`
      const outcome = await upload(bytes, { url }, { keepFailed })
      failed(outcome, "SizeMismatch", /3000000 bytes were sent, the store holds 1000000/, `object ${url}`)
      assert.strictEqual(server.methods().includes("DELETE"), !keepFailed)
    }
  })

  it("read back in a coding: refused, as it proves nothing", async () => {
    const server = await web({
      instead: (request, response) => {
        if (request.method !== "GET" || request.headers.range !== undefined) return false
        response.writeHead(200, { "Content-Encoding": "gzip" }).end("zip")
        return true
      }
    })
    failed(
      await upload(small, { url: `${server.url}/x` }, { verify: "destination" }),
      "Unsupported",
      /the server gives it in the coding gzip alone/
    )
  })

  it("a read-back that is cut goes on where it was, if the ETag says that it is the same", async () => {
    for (const etags of [true, false]) {
      const { server, url } = await behind(
        { etags },
        [{ type: "cutAnswer", afterBytes: 1_000_000, how: "reset" }],
        "GET"
      )
      const outcome = await upload(bytes, { url }, { verify: "destination" })
      if (!etags) failed(outcome, "ConnectionLost", /after \d+ of 3000000 bytes of the answer/)
      else {
        fine(outcome, "verified")
        const last = server.seen.findLast(({ method }) => method === "GET")!
        assert.match(last.headers.range!, /^bytes=[1-9]\d*-$/)
        assert.strictEqual(last.headers["if-range"], Web.etagOf(bytes))
      }
    }
  })
})

describe("another writer", () => {
  it("whose object is there after our success: said, and left alone", async () => {
    const server = await web({
      etags: true,
      taken: (response) => {
        server.objects.set("/x", small)
        response.writeHead(201).end()
      }
    })
    const url = `${server.url}/x`
    failed(await upload(noise(small.length, 9), { url }), "Conflict", /another writer's bytes/, `object ${url}`)
    assert.isTrue(server.objects.get("/x")!.equals(small))
    assert.notInclude(server.methods(), "DELETE")
  })

  it("who comes just before the DELETE keeps what it has put there", async () => {
    const server = await web({
      etags: true,
      reports: () => ({ "Repr-Digest": `sha-256=:${Web.base64("sha256", small)}:` }),
      instead: (request) => {
        if (request.method === "DELETE") server.objects.set("/x", small)
        return false
      }
    })
    const url = `${server.url}/x`
    failed(await upload(bytes, { url }), "DigestMismatch", undefined, `object ${url}`)
    const last = server.seen.at(-1)!
    assert.strictEqual(last.method, "DELETE")
    assert.strictEqual(last.headers["if-match"], Web.etagOf(bytes))
    assert.isTrue(server.objects.get("/x")!.equals(small))
  })

  it("who has come between our look and a body that must be the first", async () => {
    const server = await web({
      instead: (request) => {
        if (isWrite(request)) server.objects.set("/x", small)
        return false
      }
    })
    const url = `${server.url}/x`
    failed(await upload(bytes, { url, ifNoneMatch: true }), "Conflict", /412 Precondition Failed/, `object ${url}`)
    assert.isTrue(server.objects.get("/x")!.equals(small))
    assert.notInclude(server.methods(), "DELETE")
  })

  it("who was there before a body that must be the first was sent again: left alone, whatever its size", async () => {
    for (const theirs of [small, noise(bytes.length, 7)]) {
      let lost = false
      const { server, url } = await behind(
        {
          store: () => undefined,
          taken: (response) => {
            lost = true
            response.writeHead(201).end()
          },
          instead: (request) => {
            // Between the lost answer and the next body; one of our size only when we do not look any more.
            const now = theirs === small ? request.method === "HEAD" : isWrite(request)
            if (lost && now) server.objects.set("/x", theirs)
            return false
          }
        },
        [{ type: "dropAnswer", how: "reset" }]
      )
      failed(await upload(bytes, { url, ifNoneMatch: true }), "Conflict", /412/, `object ${url}`)
      assert.isTrue(server.objects.get("/x")!.equals(theirs))
      assert.notInclude(server.methods(), "DELETE")
    }
  })

  it("who has come while our body was refused keeps what it has put there", async () => {
    const server = await web({
      instead: (request, response) => {
        if (!isWrite(request)) return false
        return Web.afterBody(request, response, () => {
          server.objects.set("/x", small)
          response.writeHead(403).end()
        })
      }
    })
    const url = `${server.url}/x`
    failed(await upload(bytes, { url }), "Forbidden", undefined, `object ${url}`)
    assert.isTrue(server.objects.get("/x")!.equals(small))
  })

  it("is whom a POST's answer names: what is there is never deleted", async () => {
    const other = await web()
    other.objects.set("/theirs", small)
    const server = await web({
      taken: (response) => void response.writeHead(201, { Location: `${other.url}/theirs` }).end()
    })
    const outcome = await upload(bytes, { url: `${server.url}/x`, method: "POST" })
    failed(outcome, "SizeMismatch", undefined, `object ${other.url}/theirs`)
    assert.isTrue(other.objects.has("/theirs"))
    assert.notInclude(other.methods(), "DELETE")
  })

  it("is not what a lost answer has left: a body that must be the first is deleted, and sent again", async () => {
    const { server, url } = await behind({}, [{ type: "dropAnswer", how: "reset" }])
    fine(await upload(bytes, { url, ifNoneMatch: true }), "stored")
    assert.strictEqual(server.methods().replaceAll(/HEAD |GET /g, ""), "PUT DELETE PUT HEAD")
  })

  it("who has deleted it: said", async () => {
    const server = await web({
      taken: (response) => {
        server.objects.delete("/x")
        response.writeHead(204).end()
      },
      instead: (request) => {
        if (request.method === "PUT") server.objects.set("/x", small)
        return false
      }
    })
    server.objects.set("/x", small)
    failed(await upload(bytes, { url: `${server.url}/x` }, { retries: 0 }), "Gone", undefined, "none")
  })
})

describe("a server that only takes", () => {
  for (const status of [401, 403, 404, 405, 500, 501]) {
    it(`and answers ${status} to whoever looks: stored, of unknown size, and said`, async () => {
      const server = await web({
        instead: (request, response) => {
          if (isWrite(request)) return false
          response.writeHead(status).end()
          return true
        }
      })
      const { notes, object } = fine(await upload(bytes, { url: `${server.url}/x` }), "stored")
      assert.isNull(object!.size)
      assert.match(notes!.join(), new RegExp(`does not let it be looked at \\(${status} .*its size is not known`))
    })
  }

  it("and knows GET alone is asked by that", async () => {
    for (const status of [405, 501, 403]) {
      const server = await web({
        reports,
        instead: (request, response) => {
          if (request.method !== "HEAD") return false
          response.writeHead(status).end()
          return true
        }
      })
      assert.strictEqual(fine(await upload(bytes, { url: `${server.url}/x` }), "verified").object!.size, bytes.length)
      assert.strictEqual(server.seen.at(-1)!.headers.range, "bytes=0-0")
    }
  })

  it("and cannot be looked at after it has shown something: waited for, then failed", async () => {
    const server = await web({
      instead: (request, response) => {
        if (isWrite(request) || writes(server).length === 0) return false
        response.writeHead(503).end()
        return true
      }
    })
    const url = `${server.url}/x`
    const outcome = await upload(small, { url }, { answerMs: 600 })
    failed(outcome, "Unavailable", /^the body was taken, but could not be verified: .*503/, `unknown ${url}`)
  })

  it("has accepted it (202), and stores it later: waited for", async () => {
    const server = await web({
      reports,
      taken: (response) => {
        const got = server.objects.get("/x")!
        server.objects.delete("/x")
        setTimeout(() => server.objects.set("/x", got), 700)
        response.writeHead(202).end()
      }
    })
    assert.isUndefined(fine(await upload(bytes, { url: `${server.url}/x` }), "verified").notes)
  })

  it("has accepted it (202), and shows what was there before: waited for, and then failed", async () => {
    const manner = { store: () => undefined, taken: (response: ServerResponse) => void response.writeHead(202).end() }
    const server = await web(manner)
    server.objects.set("/x", small)
    const url = `${server.url}/x`
    const outcome = await upload(bytes, { url }, { answerMs: 600, retries: 0 })
    failed(outcome, "Rejected", /has accepted it, and shows what was there before for more than 1 s$/, `object ${url}`)
  })

  it("has accepted it (202), and lets nobody look: stored, and said as that", async () => {
    const server = await web({
      taken: (response) => void response.writeHead(202).end(),
      instead: (request, response) => {
        if (isWrite(request)) return false
        response.writeHead(403).end()
        return true
      }
    })
    const { notes } = fine(await upload(small, { url: `${server.url}/x` }), "stored")
    assert.match(notes!.join(), /has accepted the object, which may not be stored yet/)
  })

  it("denies by HEAD what GET gives: it is looked at by GET, and what HEAD said before is not believed", async () => {
    let wrong = false
    const server = await web({
      reports: (stored) => (wrong ? { "Repr-Digest": `sha-256=:${Web.base64("sha256", small)}:` } : reports(stored)),
      instead: (request, response) => {
        if (request.method !== "HEAD") return false
        response.writeHead(404).end()
        return true
      }
    })
    const url = `${server.url}/x`
    fine(await upload(bytes, { url }), "verified")
    wrong = true
    failed(await upload(bytes, { url }), "DigestMismatch", undefined, `object ${url}`)
    assert.notInclude(server.methods(), "DELETE")
  })
})

describe("a redirect", () => {
  /** Sends all writes to a path elsewhere. */
  const to = (status: number, location: () => string, after = false): NonNullable<Web.Manner["instead"]> => {
    return (request: IncomingMessage, response: ServerResponse) => {
      if (!isWrite(request) || request.url!.startsWith("/there")) return false
      const answer = () => void response.writeHead(status, { Location: location() }).end()
      if (after) return Web.afterBody(request, response, answer)
      answer()
      return true
    }
  }

  for (const status of [307, 308]) {
    it(`${status} before the body is followed at once, on the same origin with the credentials`, async () => {
      const server = await web({ instead: to(status, () => "/there/x?sig=s3cret") })
      const url = `${server.url}/x`
      const outcome = await upload(unsized(bytes, false), { url, headers: { Authorization: "Bearer abcdef" } })
      // The object is asked for where the user has put it, and is not shown there.
      assert.strictEqual(fine(outcome, "stored").attempts, 1)
      assert.isTrue(server.objects.get("/there/x")!.equals(bytes))
      assert.strictEqual(writes(server)[1]!.headers["authorization"], "Bearer abcdef")
      assert.notInclude(outcome.told, "s3cret")
    })
  }

  it("behind the body takes another reading of the source", async () => {
    const server = await web({ instead: to(307, () => "/there", true) })
    const outcome = await upload(bytes, { url: `${server.url}/x` })
    assert.strictEqual(fine(outcome, "stored").attempts, 2)
    assert.isTrue(server.objects.get("/there")!.equals(bytes))
    const retry = outcome.events.find(({ type }) => type === "retry") as { readonly message: string }
    assert.match(retry.message, /the server redirects to http:\/\/127\.0\.0\.1:\d+ \(307 Temporary Redirect\)/)
  })

  it("to another origin goes without credentials and the caller's fields", async () => {
    const other = await web()
    const server = await web({ instead: to(307, () => `${other.url.replace("http://", "http://me:pw@")}/there`) })
    const outcome = await upload(
      bytes,
      {
        url: `${server.url.replace("http://", "http://user:hunter22@")}/x`,
        headers: { "X-Auth-Token": "t0ken" },
        contentType: "image/x"
      },
      { expect: {} }
    )
    assert.include(fine(outcome, "stored").notes!.join(), `the server had the object sent to ${other.url}`)
    const { headers } = other.seen[0]!
    assert.isUndefined(headers["authorization"])
    assert.isUndefined(headers["x-auth-token"])
    assert.strictEqual(headers["content-type"], "image/x")
    assert.strictEqual(writes(server)[0]!.headers["x-auth-token"], "t0ken")
    assert.isTrue(other.objects.get("/there")!.equals(bytes))
  })

  it("and a reset after it: the next body asks the first server again", async () => {
    const { server, url } = await behind({ instead: to(307, () => "/there", true) }, [
      { type: "none" },
      { type: "cutRequest", afterBytes: 1_000_000, how: "reset" }
    ])
    fine(await upload(bytes, { url }, { retries: 3 }), "stored")
    assert.deepStrictEqual(
      writes(server).map(({ path }) => path),
      ["/x", "/there", "/x", "/there"]
    )
  })

  it("behind a POST says nothing of what was made", async () => {
    const server = await web({ instead: to(303, () => "/done", true) })
    const url = `${server.url}/x`
    failed(await upload(bytes, { url, method: "POST" }), "Rejected", /303 See Other/, `unknown ${url}`)
    assert.strictEqual(writes(server).length, 1)
  })

  it("in a circle is followed five times", async () => {
    const server = await web({ instead: to(307, () => "/x") })
    failed(
      await upload(bytes, { url: `${server.url}/x` }),
      "Rejected",
      /redirected 6 times, the last time to http:/,
      "none"
    )
    assert.strictEqual(writes(server).length, 6)
    const slow = await web({ instead: to(307, () => "/x", true) })
    failed(await upload(small, { url: `${slow.url}/x` }, { retries: 1 }), "Rejected", /the server redirects to/, "none")
    assert.strictEqual(writes(slow).length, 2)
  })

  for (const [status, location, message] of [
    [301, "http://elsewhere.test/a?token=s3cret", /redirects to http:\/\/elsewhere\.test with 301 Moved Permanently/],
    [302, "/login?next=s3cret", /redirects to http:\/\/127\.0\.0\.1:\d+ with 302 Found/],
    [303, "/there", /with 303 See Other/],
    [307, "ftp://a/b", /307 Temporary Redirect without an address to go to/]
  ] as const) {
    it(`${status} to ${location.split("?")[0]} is refused`, async () => {
      const server = await web({ instead: to(status, () => location) })
      const outcome = await upload(bytes, { url: `${server.url}/x` })
      failed(outcome, "Rejected", message, "none")
      assert.notInclude(outcome.told, "s3cret")
      assert.strictEqual(writes(server).length, 1)
    })
  }
})

describe("secrets", () => {
  it("are nowhere in what is told, though the server repeats them all", async () => {
    const secrets = ["hunter22", "sesame42", "qwerty77", "abcdef99"]
    const basic = Buffer.from("me:hunter22").toString("base64")
    const options = (url: string): HttpStore.Options => ({
      url: `${url.replace("http://", "http://me:hunter22@")}/x?sig=sesame42&flag#qwerty77`,
      headers: { "X-Api-Key": "abcdef99", "Proxy-Hint": "Bearer qwerty77" }
    })
    for (const status of [201, 400, 401, 403, 404, 409, 500, 503, 302]) {
      const server = await web({
        instead: (request, response) => {
          if (!isWrite(request) || status === 201) return false
          const all = `${request.url} ${JSON.stringify(request.headers)} me:hunter22 sesame42`
          response.writeHead(status, { Location: `/?${secrets.join("&")}` }).end(JSON.stringify({ message: all }))
          return true
        }
      })
      const { error, told } = await upload(small, options(server.url), { retries: 1 })
      assert.strictEqual(error === undefined, status === 201)
      for (const secret of [...secrets, basic]) assert.notInclude(told, secret, `${status}`)
    }
    const server = await web()
    await server.close()
    const { told } = await upload(small, options(server.url), { retries: 0 })
    for (const secret of [...secrets, basic]) assert.notInclude(told, secret)
  })
})
