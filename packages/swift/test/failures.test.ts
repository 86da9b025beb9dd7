/** What goes wrong at a real Swift or on the way to it, and what is left behind. */
import type { SwiftAccess } from "@headrace/swift/SwiftAccess"
import * as SwiftStore from "@headrace/swift/SwiftStore"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import * as Between from "./support/Between.ts"
import * as Swift from "./support/upload.ts"

const mib = 1024 * 1024
const small = Swift.noise(300_000)
const large = Swift.noise(3 * mib + 17, 2)

let account: Swift.Account
const open: Array<{ readonly close: () => Promise<void> }> = []
beforeAll(async () => {
  if (!Swift.none) account = await Swift.account()
})
afterEach(() => Promise.all(open.splice(0).map((one) => one.close())))
afterAll(() => Promise.all([Swift.runtime.dispose(), Swift.narrow.dispose()]))

const isSegment = ({ method, path }: { readonly method: string; readonly path: string }) =>
  method === "PUT" && path.includes("/headrace/")
const isManifest = ({ method, path }: { readonly method: string; readonly path: string }) =>
  method === "PUT" && path.includes("multipart-manifest=put")
const isObject = ({ method, path }: { readonly method: string; readonly path: string }) =>
  method === "PUT" && path.endsWith("/o")

const proxy = async (match: typeof isSegment, ...faults: ReadonlyArray<FaultProxy.ProxyFault>) => {
  const made = await FaultProxy.start({ target: { port: Number(new URL(account.url).port) }, match, faults })
  open.push(made)
  return made
}

const between = async (manner: Between.Manner) => {
  const made = await Between.start(account.url, manner)
  open.push(made)
  return made
}

/** Does something once. */
const once = (match: typeof isSegment, act: (request: Between.Passing) => Promise<"spoil" | void> | "spoil") => {
  let done = false
  return (request: Between.Passing) => {
    if (done || !match(request)) return
    done = true
    return act(request)
  }
}

const fine = ({ error, receipt }: Swift.Outcome) => {
  assert.isUndefined(error, error?.message)
  assert.strictEqual(receipt.destinations[0]!.status, "verified")
  return receipt.destinations[0]!
}

const failed = ({ error }: Swift.Outcome, reason: string, message: RegExp) => {
  if (error === undefined) return assert.fail("it succeeded")
  assert.strictEqual(error.reason._tag, reason, error.message)
  assert.match(error.message, message)
  assert.notInclude(error.message, "\n")
  assert.notInclude(error.message, account.token)
  return error
}

const retries = ({ events }: Swift.Outcome) => events.filter(({ type }) => type === "retry").length

/** It is there whole, and of its segments there are as many as it has. */
const whole = async (container: string, segments: number) => {
  assert.isTrue((await account.bytes(`/${container}/o`)).equals(segments === 0 ? small : large))
  assert.lengthOf(await account.names(`${container}_segments`), segments)
}

const gone = async (container: string) => {
  assert.strictEqual((await account.send("HEAD", `/${container}/o`)).status, 404)
  assert.deepStrictEqual(await account.names(`${container}_segments`), [])
}

describe.skipIf(Swift.none)("a segment", () => {
  for (const [what, fault] of [
    ["whose connection is reset at byte 300,000", { type: "cutRequest", afterBytes: 300_000, how: "reset" }],
    ["whose connection is closed at byte 0", { type: "cutRequest", afterBytes: 0, how: "close" }],
    ["that is refused", { type: "refuse" }],
    ["to which 503 is answered", { type: "replaceAnswer", status: 503, headers: [["Retry-After", "0"]] }],
    ["to which 503 is answered early", { type: "answerEarly", afterBytes: 100_000, status: 503 }],
    ["that is limited by 498", { type: "replaceAnswer", status: 498 }],
    ["to which 408 is answered", { type: "answerEarly", afterBytes: 100_000, status: 408 }],
    ["whose answer is lost", { type: "dropAnswer", how: "reset" }]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault]>) {
    for (const machine of [Swift.runtime, Swift.narrow]) {
      it(`${what} is sent again, alone${machine === Swift.narrow ? ", and read again" : ""}`, async () => {
        const container = Swift.container()
        const through = await proxy(isSegment, { type: "none" }, fault)
        const store = account.store({ container, object: "o", segmentSize: mib, through })
        const outcome = await Swift.run(large, store, {}, { machine })
        fine(outcome)
        assert.strictEqual(through.requests.filter(isSegment).length, 5)
        assert.strictEqual(retries(outcome), 1)
        await whole(container, 4)
      })
    }
  }

  it("of which no byte moves any more is sent again", async () => {
    const container = Swift.container()
    const through = await proxy(isSegment, { type: "stallRequest", afterBytes: 300_000 })
    const outcome = await Swift.run(large, account.store({ container, object: "o", segmentSize: mib, through }), {
      stallMs: 1500,
      answerMs: 3000
    })
    fine(outcome)
    assert.include(JSON.stringify(outcome.events.filter(({ type }) => type === "retry")), '"Stalled"')
    await whole(container, 4)
  })

  for (const machine of [Swift.runtime, Swift.narrow]) {
    const how = machine === Swift.runtime ? "422 tells" : "the MD5 of the answer tells"
    it(`that arrives as other bytes is sent again: ${how}`, async () => {
      const container = Swift.container()
      const through = await between({ before: once(isSegment, () => "spoil") })
      const store = account.store({ container, object: "o", segmentSize: mib, through })
      const outcome = await Swift.run(large, store, {}, { machine })
      fine(outcome)
      const statuses = through.seen.filter(isSegment).map(({ status }) => status)
      assert.strictEqual(statuses.includes(422), machine === Swift.runtime)
      assert.lengthOf(statuses, 5)
      assert.strictEqual(retries(outcome), 1)
      await whole(container, 4)
    })
  }

  it("that always arrives as other bytes ends the upload, and nothing stays", async () => {
    const container = Swift.container()
    const through = await between({ before: (request) => (isSegment(request) ? "spoil" : undefined) })
    const store = account.store({ container, object: "o", segmentSize: mib, through })
    const error = failed(
      await Swift.run(large, store, { retries: 1 }),
      "DigestMismatch",
      /segment \d was not taken: .*MD5 differs \(422/
    )
    assert.strictEqual(error.left, "none")
    await gone(container)
  })

  it("whose container is deleted meanwhile is sent again, into a new one", async () => {
    const container = Swift.container()
    const through = await between({
      before: once(isSegment, async () => void (await account.send("DELETE", `/${container}_segments`)))
    })
    const store = account.store({ container, object: "o", segmentSize: mib, through })
    fine(await Swift.run(large, store))
    await whole(container, 4)
  })
})

describe.skipIf(Swift.none)("a manifest", () => {
  it("whose answer is lost is looked for, and not sent again", async () => {
    const container = Swift.container()
    // Lost on a kept connection, a small request is sent again by the transport, once.
    const lost: FaultProxy.ProxyFault = { type: "dropAnswer", how: "reset" }
    const through = await proxy(isManifest, lost, lost)
    const outcome = await Swift.run(large, account.store({ container, object: "o", segmentSize: mib, through }))
    fine(outcome)
    assert.lengthOf(through.requests.filter(isManifest), 2)
    assert.strictEqual(retries(outcome), 0)
    await whole(container, 4)
  })

  it("whose answer is lost is not taken for what was there before", async () => {
    const container = Swift.container()
    const direct = account.store({ container, object: "o", segmentSize: mib })
    fine(await Swift.run(large, direct))
    const through = await proxy(isManifest, { type: "refuse" }, { type: "refuse" })
    const outcome = await Swift.run(large, account.store({ container, object: "o", segmentSize: mib, through }))
    fine(outcome)
    assert.lengthOf(through.requests.filter(isManifest), 3)
    assert.strictEqual(retries(outcome), 1)
    await whole(container, 8)
  })

  it("that gets 503 is sent again, with the same segments", async () => {
    const container = Swift.container()
    const through = await proxy(isManifest, { type: "answerEarly", afterBytes: 10, status: 503 })
    fine(await Swift.run(large, account.store({ container, object: "o", segmentSize: mib, through })))
    assert.lengthOf(through.requests.filter(isSegment), 4)
    await whole(container, 4)
  })

  it("that is refused, as a segment is gone, has all segments sent anew", async () => {
    const container = Swift.container()
    const through = await between({
      before: once(isManifest, async () => {
        const [, second] = await account.names(`${container}_segments`)
        await account.send("DELETE", `/${container}_segments/${second}`)
      })
    })
    const outcome = await Swift.run(large, account.store({ container, object: "o", segmentSize: mib, through }))
    fine(outcome)
    const retry = outcome.events.find(({ type }) => type === "retry")
    assert.include(JSON.stringify(retry), "the large object was not made: segment 2: 404 Not Found")
    assert.lengthOf(through.seen.filter(isSegment), 8)
    await whole(container, 4)
  })

  it("that nobody answers to leaves the segments, which are listed and given up", async () => {
    const container = Swift.container()
    const through = await proxy(isManifest, ...Array.from({ length: 9 }, () => ({ type: "refuse" }) as const))
    const store = account.store({ container, object: "o", segmentSize: mib, through })
    const error = failed(await Swift.run(large, store, { retries: 1 }), "ConnectionLost", /./)
    const token = /^upload (\S+) of swift:\/\/127\.0\.0\.1:\d+\/c-[^/]+\/o$/.exec(error.left)?.[1]
    assert.isDefined(token, error.left)
    const [left, ...others] = await Swift.runtime.runPromise(Stream.runCollect(store.unfinished!))
    assert.lengthOf(others, 0)
    assert.deepInclude(left, { token, uri: store.uri, bytes: large.length })
    assert.isAtMost(Math.abs(Date.now() - left!.startedAt!), 60_000)
    await Swift.runtime.runPromise(Effect.scoped(store.abort!(token!)))
    await gone(container)
    assert.isTrue(through.requests.some(({ method, path }) => method === "POST" && path.endsWith("?bulk-delete")))
    // There is none any more, which is success.
    await Swift.runtime.runPromise(Effect.scoped(store.abort!(token!)))
  })
})

describe.skipIf(Swift.none)("a body", () => {
  for (const [what, fault, sent] of [
    ["that is cut", { type: "cutRequest", afterBytes: 100_000, how: "reset" }, 2],
    ["that gets 503", { type: "answerEarly", afterBytes: 100_000, status: 503 }, 2],
    ["whose answer is lost", { type: "dropAnswer", how: "reset" }, 1],
    ["to which a gateway answers 504", { type: "replaceAnswer", status: 504 }, 1],
    ["to which 202 is answered, and it is there", { type: "replaceAnswer", status: 202 }, 1]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault, number]>) {
    it(`${what} is there in the end, sent ${sent} times`, async () => {
      const container = Swift.container()
      const through = await proxy(isObject, fault)
      fine(await Swift.run(small, account.store({ container, object: "o", through })))
      assert.lengthOf(through.requests.filter(isObject), sent)
      await whole(container, 0)
    })
  }

  it("that arrives as other bytes is sent again: the MD5 in the answer tells", async () => {
    const container = Swift.container()
    const through = await between({ before: once(isObject, () => "spoil") })
    fine(await Swift.run(small, account.store({ container, object: "o", through }), { retries: 1 }))
    assert.lengthOf(through.seen.filter(isObject), 2)
    await whole(container, 0)
  })

  it("that always arrives as other bytes is deleted, and what it replaced is not claimed to be back", async () => {
    const container = Swift.container()
    const through = await between({ before: (request) => (isObject(request) ? "spoil" : undefined) })
    const store = account.store({ container, object: "o", through })
    const error = failed(
      await Swift.run(small, store, { retries: 0 }),
      "DigestMismatch",
      /arrived as other bytes: its MD5 is/
    )
    assert.strictEqual(error.left, "none")
    await gone(container)
    fine(await Swift.run(small, account.store({ container, object: "o" })))
    const again = failed(await Swift.run(small, store, { retries: 0 }), "DigestMismatch", /./)
    assert.strictEqual(again.left, `object ${store.uri}`)
    assert.strictEqual((await account.send("HEAD", `/${container}/o`)).status, 200)
  })

  it("that arrives as other bytes, and cannot be sent again, is deleted", async () => {
    const container = Swift.container()
    let sent = 0
    const through = await between({
      before: async (request) => {
        if (!isObject(request)) return undefined
        if (++sent === 1) return "spoil"
        await account.send("POST", `/${container}`, undefined, { "X-Container-Meta-Quota-Bytes": "1" })
        return undefined
      }
    })
    const outcome = await Swift.run(small, account.store({ container, object: "o", through }))
    assert.strictEqual(failed(outcome, "QuotaExceeded", /quota/i).left, "none")
    assert.strictEqual(sent, 2)
    await gone(container)
  })

  it("after which somebody else writes the name is left alone", async () => {
    const container = Swift.container()
    const through = await between({
      after: async (request) => {
        if (isObject(request)) await account.send("PUT", `/${container}/o`, "another's")
      }
    })
    const store = account.store({ container, object: "o", through })
    const error = failed(await Swift.run(small, store), "Conflict", /another writer's bytes are there now/)
    assert.strictEqual(error.left, `object ${store.uri}`)
    assert.strictEqual(String(await account.bytes(`/${container}/o`)), "another's")
  })

  it("whose container is deleted meanwhile is sent again, into a new one", async () => {
    const container = Swift.container()
    const through = await between({
      before: once(isObject, async () => void (await account.send("DELETE", `/${container}`)))
    })
    fine(await Swift.run(small, account.store({ container, object: "o", through })))
    await whole(container, 0)
  })

  it("that a quota does not allow is refused for that", async () => {
    const container = Swift.container()
    await account.send("PUT", `/${container}`, undefined, { "X-Container-Meta-Quota-Bytes": "1000" })
    const error = failed(await Swift.run(small, account.store({ container, object: "o" })), "QuotaExceeded", /quota/i)
    assert.strictEqual(error.status, 413)
    assert.strictEqual(error.left, "none")
  })
})

describe.skipIf(Swift.none)("reading back", () => {
  for (const bytes of [small, large]) {
    const what = bytes === small ? "a plain object" : "a large object"
    it(`${what} that gives other bytes is a mismatch, and it is deleted`, async () => {
      const container = Swift.container()
      const through = await between({ spoilsAnswer: ({ method, path }) => method === "GET" && path.endsWith("/o") })
      const store = account.store({ container, object: "o", segmentSize: mib, through })
      const error = failed(await Swift.run(bytes, store, { verify: "destination" }), "DigestMismatch", /read back/)
      assert.strictEqual(error.left, "none")
      await gone(container)
    })

    it(`${what} goes on where it was when the connection is lost`, async () => {
      const container = Swift.container()
      const through = await proxy(
        ({ method, path }) => method === "GET" && path.endsWith("/o"),
        { type: "cutAnswer", afterBytes: 150_000, how: "reset" },
        { type: "replaceAnswer", status: 503 }
      )
      const store = account.store({ container, object: "o", segmentSize: mib, through })
      fine(await Swift.run(bytes, store, { verify: "destination" }))
      const gets = through.requests.filter(({ method, path }) => method === "GET" && path.endsWith("/o"))
      assert.lengthOf(gets, 3)
      assert.match(gets[2]!.headers["range"]!, /^bytes=[1-9]\d*-$/)
      assert.isDefined(gets[2]!.headers["if-match"])
    })
  }
})

describe.skipIf(Swift.none)("a token", () => {
  /** Gives tokens that Swift does not know from the `from`-th to be asked for on, until one is said to be refused. */
  const ending = (from: number, renewable: boolean): SwiftAccess & { readonly refused: () => number } => {
    let asked = 0
    let refused = 0
    return {
      base: account.url,
      token: Effect.sync(() => Redacted.make(++asked >= from && refused === 0 ? "AUTH_tkended" : account.token)),
      renew: () =>
        Effect.sync(() => {
          refused++
          return renewable
        }),
      tls: undefined,
      refused: () => refused
    }
  }

  for (const from of [1, 3, 4, 6, 8]) {
    it(`that has ended by request ${from} is renewed, and the upload goes on`, async () => {
      for (const bytes of [small, large]) {
        const container = Swift.container()
        const access = ending(from, true)
        const store = SwiftStore.object({ access, container, object: "o", segmentSize: mib })
        const outcome = await Swift.run(bytes, store)
        fine(outcome)
        await whole(container, bytes === small ? 0 : 4)
        if (bytes === large) assert.isAtLeast(access.refused(), 1)
      }
    })
  }

  it("that has ended and cannot be renewed ends the upload", async () => {
    const container = Swift.container()
    const store = SwiftStore.object({ access: ending(6, false), container, object: "o", segmentSize: mib })
    const error = failed(await Swift.run(large, store), "Unauthorized", /does not accept the token/)
    assert.strictEqual(error.status, 401)
  })

  it("of a user who may not write is Forbidden", async () => {
    const answer = await fetch(Swift.authUrl, { headers: { "x-auth-user": "test:tester3", "x-auth-key": "testing3" } })
    const token = Redacted.make(answer.headers.get("x-auth-token") ?? "")
    const store = SwiftStore.object({ endpoint: account.url, token, container: Swift.container(), object: "o" })
    const error = failed(await Swift.run(small, store), "Forbidden", /cannot be looked at: 403/)
    assert.strictEqual(error.left, "none")
  })

  it("that is none is Unauthorized", async () => {
    const store = SwiftStore.object({ endpoint: account.url, container: Swift.container(), object: "o" })
    failed(await Swift.run(small, store), "Unauthorized", /wants one/)
  })
})

describe.skipIf(Swift.none)("an upload that is interrupted", () => {
  for (const bytes of [small, large]) {
    it(`leaves nothing of ${bytes === small ? "a body" : "its segments"}`, async () => {
      const container = Swift.container()
      const match = bytes === small ? isObject : isSegment
      const through = await proxy(match, { type: "stallRequest", afterBytes: 200_000 })
      const store = account.store({ container, object: "o", segmentSize: mib, through })
      const controller = new AbortController()
      const running = Swift.run(bytes, store, {}, { signal: controller.signal })
      const ended = running.then(
        () => "ended",
        () => "interrupted"
      )
      while (!through.requests.some((request) => match(request) && request.sent > 100_000)) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      controller.abort()
      assert.strictEqual(await ended, "interrupted")
      await gone(container)
    })
  }

  /** Runs an upload, interrupts it when the proxy has seen so much of it, and gives what the receipt says is left. */
  const interrupted = async (
    bytes: Uint8Array,
    container: string,
    match: typeof isSegment,
    fault: FaultProxy.ProxyFault,
    seen: (request: FaultProxy.ProxiedRequest) => boolean
  ) => {
    const through = await proxy(match, fault, fault)
    const store = account.store({ container, object: "o", segmentSize: mib, through })
    const controller = new AbortController()
    let left: string | undefined
    const ended = Swift.run(
      bytes,
      store,
      {
        onEvent: (event) =>
          Effect.sync(() => {
            if (event.type === "receipt") left = event.destinations[0]!.error?.left
          })
      },
      { signal: controller.signal }
    ).catch(() => undefined)
    while (!through.requests.some((request) => match(request) && seen(request))) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    controller.abort()
    await ended
    return { left, store }
  }

  it("after its body, before the answer, leaves nothing", async () => {
    const container = Swift.container()
    const whole = ({ sent }: FaultProxy.ProxiedRequest) => sent === small.length
    const { left } = await interrupted(small, container, isObject, { type: "delayAnswer", ms: 20_000 }, whole)
    assert.strictEqual(left, "none")
    await gone(container)
  })

  it("before its manifest is answered leaves the segments, as the object may come", async () => {
    const container = Swift.container()
    const fault: FaultProxy.ProxyFault = { type: "stallRequest", afterBytes: 10 }
    const { left, store } = await interrupted(large, container, isManifest, fault, ({ sent }) => sent === 10)
    const token = /^upload (\S+) of /.exec(left ?? "")?.[1]
    assert.isDefined(token, left)
    assert.lengthOf(await account.names(`${container}_segments`), 4)
    await Swift.runtime.runPromise(Effect.scoped(store.abort!(token!)))
    await gone(container)
  })
})
