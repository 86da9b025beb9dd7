/**
 * `headrace sum`: digests of a source, nothing sent.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { BlockPool, BlockShare, blockBytes } from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as Digest from "@headrace/core/Digest"
import * as CoreProgress from "@headrace/core/Progress"
import * as Ends from "@headrace/batch/Ends"
import * as Engine from "../Engine.ts"
import * as Progress from "../Progress.ts"
import * as Settings from "../Settings.ts"
import type { Algorithm, Digests } from "../Types.ts"
import * as Uri from "@headrace/batch/Uri"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Sum } from "./Invocation.ts"
import * as ProgressMode from "./ProgressMode.ts"
import * as Session from "./Session.ts"
import * as SumLine from "./SumLine.ts"

const digestsOf = (given: Sum, algorithms: ReadonlyArray<Algorithm>, display: Progress.Progress) =>
  Effect.scoped(
    Effect.gen(function* () {
      const source = yield* Ends.source(given.source)
      const pool = yield* BlockPool
      const share = yield* pool.share(4)
      const { size } = yield* source.info
      const hasher = yield* Digest.Hasher
      const hashing = yield* hasher.start(algorithms)
      const at = Effect.map(Clock.currentTimeMillis, (now) => new Date(now).toISOString())
      const uri = source.uri
      display.event({ type: "start", at: yield* at, id: "", source: { uri, size: size ?? null }, destinations: [] })

      let read = 0
      const meter = new CoreProgress.Meter()
      const report = Effect.gen(function* () {
        meter.mark(yield* Clock.currentTimeMillis, read)
        const { bytesPerSecond } = meter
        display.event({
          type: "progress",
          at: yield* at,
          id: "",
          read,
          hashed: hashing.hashed(),
          destinations: [],
          bytesPerSecond,
          etaMs: size === undefined || bytesPerSecond <= 0 ? null : ((size - read) * 1000) / bytesPerSecond,
          memory: pool.stats().inUse * blockBytes
        })
        yield* Effect.sleep(250)
      })
      yield* Effect.forkScoped(Effect.forever(report))

      let digests: Digests = {}
      yield* source.open(0).pipe(
        CoreProgress.tap((bytes) => {
          read += bytes
        }),
        Digest.tapWith(hashing, (all) =>
          Effect.sync(() => {
            digests = all
          })
        ),
        Blocks.runRelease,
        Effect.provideService(BlockShare, share)
      )
      return { name: uri, digests }
    })
  )

/** Runs the command and gives its exit code. */
export const run = async (given: Sum): Promise<number> => {
  const settings = Settings.parse(given)
  if (Result.isFailure(settings)) {
    const { message, setting } = settings.failure
    Session.complain(ErrorLine.ofUsage(`--${setting}`, message))
    return ExitCode.usage
  }
  const mode = ProgressMode.read(given.progress, false)
  if (mode === undefined) {
    Session.complain(ProgressMode.wrong(given.progress))
    return ExitCode.usage
  }
  const algorithms: ReadonlyArray<Algorithm> =
    settings.success.digest.length === 0 ? ["sha512"] : settings.success.digest
  const display = Progress.make({ mode })
  const shown = Uri.shown(given.source)
  return Session.run({
    json: false,
    display,
    program: (out) =>
      digestsOf(given, algorithms, display).pipe(
        Effect.provide(Engine.layer(settings.success)),
        Effect.match({
          onSuccess: ({ digests, name }) => {
            display.end()
            for (const line of SumLine.lines(name, algorithms, digests)) out.line(line)
            return ExitCode.ok
          },
          onFailure: (error) => {
            display.end()
            Session.complain(ErrorLine.ofUsage(error._tag === "DigestError" ? shown : error.uri, error.message))
            return ExitCode.usage
          }
        })
      ),
    interrupted: (signal) => (signal === undefined ? undefined : ErrorLine.ofUsage(shown, `interrupted (${signal})`)),
    abandoned: () => undefined
  })
}
