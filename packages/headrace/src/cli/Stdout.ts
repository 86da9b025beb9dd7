/**
 * Standard output: lines, or events as NDJSON. Each line is handed on at once. When whoever reads is slow, `progress`
 * events are left out, so that a paused pager neither stops the upload nor fills the memory; when it has gone, that
 * is told once, and nothing is written any more.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

export interface Stdout {
  /** Writes a line. */
  readonly line: (text: string) => void
  /** Writes an object as a line of JSON; nothing when it may be left out and the reader is behind. */
  readonly json: (value: object, options?: { readonly mayDrop: boolean }) => void
  /** Waits until everything is with the reader, or the reader has gone. */
  readonly flush: Effect.Effect<void>
  /** Why nothing can be written any more: the reader has gone, or the error's code, such as ENOSPC. */
  readonly closed: () => string | undefined
}

interface Sink {
  readonly stream: NodeJS.WritableStream & { readonly readableLength?: number; readonly writableLength: number }
}

/** Takes the process's standard output. `onGone` is told when its reader has gone. */
export const make = (options: { readonly json: boolean; readonly onGone: () => void }): Effect.Effect<Stdout> =>
  Effect.gen(function* () {
    const stdout = process.stdout
    let closed: string | undefined
    stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (closed !== undefined) return
      closed = error.code ?? error.message
      // A full disk behind a redirection is no wish to stop, as a closed pipe is.
      if (closed === "EPIPE") options.onGone()
    })

    const sink: Sink | undefined = options.json ? { stream: yield* serializer(stdout) } : undefined
    const behind = () =>
      stdout.writableLength > 0 ||
      (sink !== undefined && sink.stream.writableLength + (sink.stream.readableLength ?? 0) > 0)

    const drained = Effect.callback<void>((resume) => {
      if (closed !== undefined) return resume(Effect.void)
      const done = () => {
        stdout.off("error", done)
        // Of a file's error we hear after its write has ended.
        setImmediate(() => resume(Effect.void))
      }
      stdout.once("error", done)
      stdout.write("", done)
      return Effect.sync(() => stdout.off("error", done))
    })

    return {
      line: (text) => {
        if (closed === undefined) stdout.write(`${text}\n`)
      },
      json: (value, more) => {
        if (closed !== undefined || sink === undefined || (more?.mayDrop === true && behind())) return
        sink.stream.write(value as unknown as string)
      },
      flush: Effect.gen(function* () {
        // A file is written at once: nothing is behind, and its error has not been told yet.
        yield* drained
        while (closed === undefined && behind()) {
          yield* drained
          if (behind()) yield* Effect.sleep(5)
        }
      }),
      closed: () => closed
    }
  })

/** The `ndjson` package at the process's edge: objects in, lines out, into standard output. */
const serializer = (stdout: NodeJS.WriteStream): Effect.Effect<Sink["stream"]> =>
  Effect.map(
    Effect.promise(() => import("ndjson")),
    (ndjson) => {
      const stream = ndjson.default.stringify()
      stream.pipe(stdout)
      return stream
    }
  )
