/**
 * Transfers that go well, or as well as they can: what the receipt says, a limit on the rate, credentials that end.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Bandwidth from "@headrace/core/Bandwidth"
import * as Source from "@headrace/core/Source"
import { noise } from "./bytes.ts"
import { at, type Draft, expires } from "./draft.ts"
import * as Engine from "./engine.ts"
import { blockBytes } from "./lab.ts"
import * as Proxied from "./proxied.ts"

export const proof: Draft = {
  name: "is proven by a transfer",
  needs: [],
  see: "docs/architecture.md; packages/core/src/Receipt.ts",
  run: (lab) =>
    Effect.gen(function* () {
      const bytes = noise(lab.isParts ? 2 * lab.partBytes + 5 : 3 * blockBytes + 5, 60)
      for (const verify of ["transfer", "destination"] as const) {
        const key = lab.key(verify)
        const outcome = yield* Engine.transfer(lab, key, bytes, { options: { verify } })
        const receipt = yield* Engine.proven(lab, outcome, key, bytes, "a transfer to a store that works succeeds")
        const [end] = receipt.destinations
        const reports = lab.options.capabilities.reports ?? []
        const contract = `at the level "${verify}" the receipt of a store that ${
          verify === "transfer" ? "reports digests" : "can be read back"
        } says verified`
        if (verify === "destination" || reports.length > 0) {
          yield* lab.check(end!.status === "verified", contract, `it says ${end!.status}`)
        }
        const once = "what nothing has disturbed is sent once"
        yield* lab.check(end!.attempts === 1, once, `it took ${end!.attempts} attempts`)
        yield* lab.check(
          end!.bytesSent === bytes.byteLength,
          once,
          `${end!.bytesSent} of ${bytes.byteLength} bytes were counted as sent`
        )
        yield* lab.noneUnfinished(key, "nothing but the object is left of a transfer that succeeded")
      }
    })
}

/** Bytes in a second, and those of a body that takes about that long. */
const rate = 1024 * 1024
const limited = noise(768 * 1024, 61)

/** Bytes that may be ahead of the limit: what it saves up in a pause, and a block on either side. */
const slack = 0.05 * rate + 2 * blockBytes

export const pace: Draft = {
  name: "keeps to a limit on the rate",
  needs: [],
  see: "packages/core/src/Bandwidth.ts",
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const contract =
        "bytes pass no faster than the limit lets them: a session sends what its body's stream gives it, once, and nothing else"
      const proxied = lab.address === undefined ? undefined : yield* Proxied.start(lab, [])
      const startedAt = performance.now()
      const secondsNow = () => (performance.now() - startedAt) / 1000
      let most = { bytes: 0, seconds: 0 }
      const look = () => {
        const bytes = proxied?.proxy.requests.reduce((sum, { sent }) => sum + sent, 0) ?? 0
        const seconds = secondsNow()
        if (bytes - rate * seconds > most.bytes - rate * most.seconds) most = { bytes, seconds }
      }
      const timer = setInterval(look, 10)
      const transfer = Engine.transfer(lab, key, limited, {
        bandwidth: yield* Bandwidth.make({ bytesPerSecond: rate }),
        ...(proxied === undefined ? undefined : { address: proxied.address })
      })
      const outcome = yield* Effect.ensuring(
        transfer,
        Effect.sync(() => clearInterval(timer))
      )
      look()
      const seconds = secondsNow()
      yield* Engine.proven(lab, outcome, key, limited, "a transfer with a limit succeeds")
      const least = (limited.byteLength / rate) * 0.9
      yield* lab.check(
        seconds >= least,
        contract,
        `${limited.byteLength} bytes at ${rate} a second took ${seconds.toFixed(2)} s, and should take ${least.toFixed(2)} at least`
      )
      yield* lab.check(
        most.bytes <= rate * most.seconds + slack,
        contract,
        `${most.bytes} bytes were on the wire after ${most.seconds.toFixed(2)} s, at ${rate} a second`
      )
    })
}

export const credentials: Draft = {
  name: "goes on when its credentials end in the middle",
  needs: [expires],
  see: at("SessionBase; docs/failures.md, 401"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(lab.isParts ? 3 * lab.partBytes : 6 * blockBytes, 62)
      const expire = lab.asked("expireCredentials", lab.options.expireCredentials!)
      let done = false
      const context = yield* Effect.context()
      const source: Source.Source = {
        ...Source.fromStream({
          uri: "kit:",
          replayable: true,
          info: Effect.succeed({ size: bytes.byteLength, identity: "1" }),
          open: (offset) =>
            Stream.fromIterable(
              Array.from({ length: Math.ceil((bytes.byteLength - offset) / blockBytes) }, (_, index) => {
                const from = offset + index * blockBytes
                return bytes.subarray(from, from + blockBytes)
              })
            ).pipe(
              Stream.rechunk(1),
              Stream.tap((piece) =>
                Effect.suspend(() => {
                  if (done || piece.byteOffset < bytes.byteLength / 2) return Effect.void
                  done = true
                  return Effect.orDie(Effect.provideContext(expire, context as never)) as Effect.Effect<void>
                })
              )
            )
        })
      }
      const outcome = yield* Engine.transfer(lab, key, bytes, { source })
      const contract = "when credentials end during a body, new ones are got, and the transfer succeeds"
      yield* Engine.proven(lab, outcome, key, bytes, contract)
      yield* lab.check(done, contract, "the source was never read so far")
      yield* lab.noneUnfinished(key, contract)
    })
}

export const all: ReadonlyArray<Draft> = [proof, pace, credentials]
