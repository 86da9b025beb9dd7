/** Sessions with a fake Keystone, over the real transport. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import * as CloudConfig from "@headrace/keystone/CloudConfig"
import * as CloudSession from "@headrace/keystone/CloudSession"
import type { KeystoneError } from "@headrace/keystone/KeystoneError"
import * as NodeTransport from "@headrace/node/NodeTransport"
import type { FakeKeystone } from "./FakeKeystone.ts"
import * as MemoryHost from "./MemoryHost.ts"

export const transport = NodeTransport.layer

/** The text of a clouds file with one cloud, `prod`; `auth` and `more` come over the usual ones. */
export const clouds = (
  keystone: Pick<FakeKeystone, "url">,
  auth: Readonly<Record<string, string | undefined>> = {},
  more: Readonly<Record<string, unknown>> = {}
): string =>
  JSON.stringify({
    clouds: {
      prod: {
        auth: {
          auth_url: `${keystone.url}/v3`,
          username: "demo",
          password: "right-password",
          project_name: "demo",
          ...auth
        },
        ...more
      }
    }
  })

export const open = (file: string): Effect.Effect<CloudSession.CloudSession, KeystoneError, Transport> =>
  CloudConfig.load("prod").pipe(
    Effect.provideService(Host, MemoryHost.make({ files: { "/work/clouds.yaml": file } })),
    Effect.flatMap(CloudSession.make)
  )

/** A few turns of the real event loop, for what is on the wire to arrive. */
export const settle = (ms = 30): Effect.Effect<void> =>
  Effect.promise(() => new Promise((resolve) => void setTimeout(resolve, ms)))

/**
 * Runs to the end under the test clock, which goes on 25 times as fast as the wall's: a limit of 30 s still leaves the wire
 * more than a second. Tells how many seconds it went.
 */
export const driven = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
  let seconds = 0
  while (fiber.pollUnsafe() === undefined) {
    yield* settle(10)
    if (fiber.pollUnsafe() !== undefined) break
    yield* TestClock.adjust("250 millis")
    seconds += 0.25
    if (seconds > 600) return yield* Effect.die(new Error("it does not end"))
  }
  return { exit: yield* Fiber.await(fiber), seconds }
})
