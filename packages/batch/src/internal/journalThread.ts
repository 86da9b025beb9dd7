/**
 * The journal's thread as the others see it: calls that are answered in order.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import { JournalError } from "../Journal.ts"
import type { Answers, Boot, Call, Calls, Name } from "./journalCalls.ts"

type Value<N extends Name> = ReturnType<Calls[N]>

export interface Thread {
  readonly call: <N extends Name>(name: N, ...args: Parameters<Calls[N]>) => Effect.Effect<Value<N>, JournalError>
  readonly commits: () => number
}

interface Waiting {
  readonly answered: (value: unknown) => void
  readonly refused: (error: JournalError) => void
}

/** Beside this module; the sources are run as they are in tests. */
const program = new URL(import.meta.url.endsWith(".ts") ? "./journalWorker.ts" : "./journalWorker.js", import.meta.url)

/** Starts the thread. The scope ends it, when what was asked before has been done. */
export const start = (boot: Boot): Effect.Effect<Thread, never, Scope.Scope> =>
  Effect.gen(function* () {
    const waiting = new Map<number, Waiting>()
    let lastId = 0
    let commits = 0
    let dead: JournalError | undefined
    const error = (reason: JournalError["reason"], message: string) =>
      new JournalError({ reason, path: boot.path, message })

    const worker = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new Worker(program, {
            workerData: boot,
            name: "journal",
            // What passes through is gone in a moment.
            resourceLimits: { maxYoungGenerationSizeMb: 4 },
            // Older releases of Node warn of SQLite there.
            execArgv: ["--disable-warning=ExperimentalWarning"]
          })
      ),
      (worker) => Effect.promise(() => worker.terminate())
    )
    const die = (message: string) => {
      dead ??= error("Unusable", message)
      for (const { refused } of waiting.values()) refused(dead)
      waiting.clear()
    }
    worker.on("message", ({ answers, commits: made }: Answers) => {
      commits = made
      for (const answer of answers) {
        const caller = waiting.get(answer.id)
        waiting.delete(answer.id)
        if ("reason" in answer) caller?.refused(error(answer.reason, answer.message))
        else caller?.answered(answer.value)
      }
    })
    worker.on("error", ({ message }) => die(`its thread has failed: ${message}`))
    worker.on("exit", () => die("its thread has ended"))

    /** A message costs as much as what it is about: those of one turn of the event loop go together. */
    let outbox: Array<Call> = []
    const post = () => {
      if (outbox.length === 0) return
      worker.postMessage(outbox, [])
      outbox = []
    }

    const call: Thread["call"] = (name, ...args) =>
      Effect.callback((resume) => {
        if (dead !== undefined) return resume(Effect.fail(dead))
        const id = ++lastId
        waiting.set(id, {
          answered: (value) => resume(Effect.succeed(value as Value<typeof name>)),
          refused: (cause) => resume(Effect.fail(cause))
        })
        if (outbox.push({ id, name, args }) === 1) setImmediate(post)
        // Asked before there are no lines left: the thread is to work while these are worked on.
        if (name === "next") post()
      })
    // What was asked before is done before: the thread takes calls in their order.
    yield* Effect.addFinalizer(() => Effect.ignore(call("close")))
    return { call, commits: () => commits }
  })
