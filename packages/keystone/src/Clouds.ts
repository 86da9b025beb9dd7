/**
 * The clouds of this process: one session a cloud, so that all transfers share a token. Sessions are kept apart by the
 * `Transport` and the `Host` they were made with; a program with other layers has others.
 *
 * @since 0.1.0
 */
import { Host } from "@headrace/core/Host"
import { Transport } from "@headrace/core/Transport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as CloudConfig from "./CloudConfig.ts"
import * as CloudSession from "./CloudSession.ts"
import type { KeystoneError } from "./KeystoneError.ts"

/**
 * Where sessions are had.
 *
 * @since 0.1.0
 * @category models
 */
export interface Registry {
  /**
   * The session of a cloud by its name in `clouds.yaml`, or `envvars`; without one, the default cloud's. The
   * configuration is read the first time; a failure is not remembered.
   */
  readonly session: (name?: string) => Effect.Effect<CloudSession.CloudSession, KeystoneError, Transport | Host>
}

/**
 * A registry of its own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Registry => {
  const known = new WeakMap<Transport["Service"], WeakMap<Host["Service"], Map<string, CloudSession.CloudSession>>>()
  const turn = Semaphore.makeUnsafe(1)
  return {
    session: Effect.fnUntraced(function* (name) {
      const transport = yield* Transport
      const host = yield* Host
      const ofTransport = known.get(transport) ?? new WeakMap<Host["Service"], Map<string, CloudSession.CloudSession>>()
      known.set(transport, ofTransport)
      const sessions = ofTransport.get(host) ?? new Map<string, CloudSession.CloudSession>()
      ofTransport.set(host, sessions)
      return yield* turn.withPermits(1)(
        Effect.gen(function* () {
          const found = sessions.get(name ?? "")
          if (found !== undefined) return found
          const cloud = yield* CloudConfig.load(name)
          const session = sessions.get(cloud.name) ?? (yield* CloudSession.make(cloud))
          sessions.set(name ?? "", session)
          sessions.set(cloud.name, session)
          return session
        })
      )
    })
  }
}

/**
 * The registry in use: the process's own unless another is provided.
 *
 * @since 0.1.0
 * @category services
 */
export const Clouds: Context.Reference<Registry> = Context.Reference("@headrace/keystone/Clouds", {
  defaultValue: make
})

/**
 * The session of a cloud; see `Registry`.
 *
 * @since 0.1.0
 * @category getters
 */
export const session = (name?: string): Effect.Effect<CloudSession.CloudSession, KeystoneError, Transport | Host> =>
  Effect.flatMap(Clouds, (registry) => registry.session(name))
