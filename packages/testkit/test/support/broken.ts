/**
 * Adapters with one fault each: the store in memory, and that of a web server, but for what is broken. Each is to be caught
 * by the scenario that is meant for it, in words that say what is wrong.
 */
import type { Block } from "@headrace/core/Block"
import * as Blocks from "@headrace/core/Blocks"
import type { MemoryStore } from "@headrace/core/MemoryStore"
import type { Body, Inspection, PartsSession, Session, Store, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export interface Broken {
  readonly fault: string
  readonly shape: "whole" | "parts"
  /** The scenario that is meant for it. */
  readonly caughtBy: string
  /** What is said of it. */
  readonly says: RegExp
  /** Nothing else is tried: it would take too long. */
  readonly alone?: true
  readonly breaks: (store: Store<never>, memory: MemoryStore) => Store<never>
}

const keyOf = (store: Store<never>) => store.uri.replace(/^memory:/, "")

const whole =
  (change: (session: WholeSession, key: string, memory: MemoryStore) => Partial<WholeSession>) =>
  (store: Store<never>, memory: MemoryStore): Store<never> => ({
    ...store,
    open: (content) =>
      Effect.map(store.open(content), (session): Session => {
        const same = session as WholeSession
        return { ...same, ...change(same, keyOf(store), memory) }
      })
  })

const parts =
  (change: (session: PartsSession, key: string, memory: MemoryStore) => Partial<PartsSession>) =>
  (store: Store<never>, memory: MemoryStore): Store<never> => ({
    ...store,
    open: (content) =>
      Effect.map(store.open(content), (session): Session => {
        const same = session as PartsSession
        return { ...same, ...change(same, keyOf(store), memory) }
      })
  })

/** The body with its length unsaid, so that nobody looks at it. */
const careless = <E, R>(body: Body<E, R>, stream: Stream.Stream<Block, E, R> = body.stream): Body<E, R> => ({
  ...body,
  length: undefined,
  stream
})

const join = (chunks: ReadonlyArray<Uint8Array>) => new Uint8Array(Buffer.concat(chunks))

/** The scenario for stores whose credentials end. */
export const credentials = "goes on when its credentials end in the middle"

/** A store that asks for a token with each part, and gets a new one when it is refused, or does not. */
export const withToken = (renews: boolean) => {
  let valid = 1
  const breaks = parts((session) => {
    let token = valid
    return {
      writePart: (part) =>
        Effect.suspend(() => {
          if (token === valid) return session.writePart(part)
          if (renews) token = valid
          const message = "the token has ended"
          return Effect.fail(
            StoreError.make("Unauthorized", { uri: "memory:", message, status: 401, retryable: renews })
          )
        })
    }
  })
  return { breaks, expireCredentials: Effect.sync(() => ++valid) }
}

export const inMemory: ReadonlyArray<Broken> = [
  {
    fault: "claims what it cannot",
    shape: "whole",
    caughtBy: "says what it can do",
    says: /"rangedRead" is false, and true was claimed/,
    breaks: (store) => ({
      ...store,
      capabilities: Effect.map(store.capabilities, (said) => ({ ...said, rangedRead: false }))
    })
  },
  {
    fault: "cuts objects otherwise than it says",
    shape: "parts",
    caughtBy: "says what it can do",
    says: /the store says .*maxParts: 100.*, the session .*maxParts: 99/,
    breaks: parts((session) => ({ limits: { ...session.limits, maxParts: 99 } }))
  },
  {
    fault: "makes something when it is asked for a plan",
    shape: "whole",
    caughtBy: "says what it can do",
    says: /capabilities, plan and open make nothing\n {2}but the service holds an object of 0 bytes/,
    breaks: (store, memory) => ({
      ...store,
      plan: (content) =>
        Effect.suspend(() => {
          memory.objects.set(keyOf(store), new Uint8Array())
          return store.plan(content)
        })
    })
  },
  {
    fault: "swallows the last block",
    shape: "whole",
    caughtBy: "takes bodies of every size",
    says: /a body of 1 bytes that was taken is at the service, byte for byte\n {2}but the service holds 0 bytes, 1 were sent/,
    breaks: whole((session) => ({
      write: (body) => {
        let held: Block | undefined
        const stream = Stream.flatMap(body.stream, (block) => {
          const before = held
          held = block
          return before === undefined ? Stream.empty : Stream.succeed(before)
        })
        const last = Effect.sync(() => held?.release())
        return session.write(careless(body, Stream.concat(stream, Stream.fromEffectDrain(last))))
      }
    }))
  },
  {
    fault: "needs a size and does not say so",
    shape: "whole",
    caughtBy: "takes bodies whose size nobody knows before",
    says: /Rejected: the server answered 411/,
    breaks: whole((session) => ({
      write: (body) =>
        body.length === undefined
          ? Effect.fail(StoreError.make("Rejected", { uri: "memory:", message: "the server answered 411" }))
          : session.write(body)
    }))
  },
  {
    fault: "takes a part of the name for a query",
    shape: "whole",
    caughtBy: "takes keys as they are",
    says: /byte for byte\n {2}but the receipt says "verified", and there is no object/,
    breaks: (store, memory) =>
      store.uri.includes("?") ? memory.object(keyOf(store).slice(0, keyOf(store).indexOf("?"))) : store
  },
  {
    fault: "reports a digest that nobody has computed",
    shape: "whole",
    caughtBy: "reports digests of what is there",
    says: /it reports sha256 0{64}, and it is/,
    breaks: whole((session) => ({
      inspect: Effect.map(session.inspect, (found): Inspection =>
        found._tag === "Stored" ? { ...found, object: { ...found.object, digests: { sha256: "0".repeat(64) } } } : found
      )
    }))
  },
  {
    fault: "reports the digest that it has itself computed",
    shape: "whole",
    caughtBy: "reports digests of what is there",
    says: /the adapter tells what it has itself computed/,
    breaks: whole((session) => {
      let kept: Inspection | undefined
      return {
        inspect: Effect.map(session.inspect, (found) => {
          if (found._tag === "Stored") kept = found
          return kept ?? found
        })
      }
    })
  },
  {
    fault: "takes a short body for whole",
    shape: "whole",
    caughtBy: "refuses a body that ends too early",
    says: /66537 bytes were announced, 66536 came, and the write succeeded/,
    breaks: whole((session) => ({ write: (body) => session.write(careless(body)) }))
  },
  {
    fault: "takes more than was announced",
    shape: "whole",
    caughtBy: "refuses a body that goes on too long",
    says: /longer than was announced is never taken for whole/,
    breaks: whole((session) => ({
      write: (body) => session.write({ ...body, stream: Blocks.take(body.stream, body.length ?? Infinity) })
    }))
  },
  {
    fault: "takes a body that failed for its end",
    shape: "whole",
    caughtBy: "passes an error of the body on",
    says: /ends with the body's own error, and makes no object\n {2}but it succeeded/,
    breaks: whole((session) => ({
      write: (body) =>
        session.write(
          careless(
            body,
            Stream.catchCause(body.stream, () => Stream.empty as Stream.Stream<Block>)
          )
        )
    }))
  },
  {
    fault: "does not tell the digest of a part",
    shape: "parts",
    caughtBy: "has a part with a wrong digest refused",
    says: /a part whose md5 is not the announced one is refused\n {2}but it was taken/,
    breaks: parts((session) => ({ writePart: (part) => session.writePart({ ...part, digests: {} }) }))
  },
  {
    fault: "does not tell the digest of the whole",
    shape: "parts",
    caughtBy: "has an object with a wrong digest refused",
    says: /an object whose sha256 is not the announced one is refused\n {2}but it was taken/,
    breaks: parts((session) => ({ finish: (object) => session.finish({ ...object, digests: {} }) }))
  },
  {
    fault: "ends a reading before its end",
    shape: "whole",
    caughtBy: "reads back what is there",
    says: /it has 131082 bytes, 131083 were sent/,
    breaks: whole((session) => ({ read: Stream.map(session.read, (bytes) => bytes.subarray(0, -1)) }))
  },
  {
    fault: "forgets to give blocks back",
    shape: "whole",
    caughtBy: "gives every block back",
    says: /6 blocks are still held after a body of 6 blocks was taken/,
    breaks: whole((session) => ({
      write: (body) => session.write({ ...body, stream: Stream.map(body.stream, (block) => block.share()) })
    }))
  },
  {
    fault: "gives a block back twice",
    shape: "whole",
    caughtBy: "gives every block back",
    says: /it died: a block was given back twice/,
    breaks: whole((session) => ({
      write: (body) => {
        const seen: Array<Block> = []
        const stream = Stream.tap(body.stream, (block) => Effect.sync(() => seen.push(block)))
        return Effect.tap(session.write({ ...body, stream }), () => Effect.sync(() => seen.forEach((b) => b.release())))
      }
    }))
  },
  {
    fault: "keeps a view of memory that it has given back",
    shape: "whole",
    caughtBy: "uses no memory that it has given back",
    says: /a view that is valid until release[\s\S]*but the service holds other bytes than were sent/,
    breaks: whole((session, key, memory) => {
      const views: Array<Uint8Array> = []
      return {
        write: (body) => {
          views.length = 0
          const stream = Stream.tap(body.stream, (block) => Effect.sync(() => views.push(block.bytes)))
          return session.write({ ...body, stream })
        },
        inspect: Effect.suspend(() => {
          const held = memory.objects.get(key)
          if (views.length > 0 && held?.byteLength === join(views).byteLength) held.set(join(views))
          return session.inspect
        })
      }
    })
  },
  {
    fault: "gives fetch a view of shared memory",
    shape: "whole",
    caughtBy: "sends bytes from shared memory as they are",
    says: /fetch silently sends other bytes/,
    breaks: whole((session, key, memory) => ({
      write: (body) => {
        const sent: Array<Uint8Array> = []
        const stream = Stream.tap(body.stream, (block) =>
          Effect.promise(async () => {
            sent.push(new Uint8Array(await new Response(block.bytes as Uint8Array<ArrayBuffer>).arrayBuffer()))
          })
        )
        return Effect.tap(session.write({ ...body, stream }), () =>
          Effect.sync(() => {
            // The same array: it is what the session knows as its own.
            const held = memory.objects.get(key)!
            held.set(join(sent).subarray(0, held.byteLength))
          })
        )
      }
    }))
  },
  {
    fault: "counts bytes twice",
    shape: "whole",
    caughtBy: "counts each byte once",
    says: /of 196615 bytes it has counted 393230/,
    breaks: whole((session) => ({
      write: (body) => session.write({ ...body, onSent: (bytes) => body.onSent(2 * bytes) })
    }))
  },
  {
    fault: "takes a whole body before it sends a byte",
    shape: "whole",
    caughtBy: "takes no more of a body than it sends",
    says: /it had taken 40 blocks more than it had sent, at most are 8/,
    breaks: whole((session) => ({
      write: (body) => {
        let sent = 0
        const onSent = (bytes: number) => {
          sent += bytes
        }
        return Effect.tap(session.write({ ...body, onSent }), () => Effect.sync(() => body.onSent(sent)))
      }
    }))
  },
  {
    fault: "calls an object made before it has a byte",
    shape: "whole",
    caughtBy: "finds nothing before it has written",
    says: /before begin, with nothing there, it says Stored/,
    breaks: whole((session) => ({
      inspect: Effect.map(session.inspect, (found): Inspection =>
        found._tag === "Stored" ? found : { _tag: "Stored", object: { id: "it", size: undefined, digests: {} } }
      )
    }))
  },
  {
    fault: "makes another upload at each begin",
    shape: "parts",
    caughtBy: "begins twice without making two",
    says: /the service has 2 unfinished uploads of it, it had 1/,
    breaks: parts((session, key, memory) => {
      let begun = 0
      return {
        begin: Effect.andThen(
          session.begin,
          Effect.sync(() => {
            if (++begun > 1) memory.uploads.set(`${key}-${begun}`, { key, startedAt: 0, parts: new Map() })
          })
        )
      }
    })
  },
  {
    fault: "leaves its upload behind",
    shape: "parts",
    caughtBy: "leaves nothing when it is told to",
    says: /discard deletes what the session made[\s\S]*but the service has 1 unfinished upload of it/,
    breaks: parts((_, key, memory) => ({
      discard: Effect.sync(() => {
        memory.objects.delete(key)
        return "none"
      })
    }))
  },
  {
    fault: "takes whatever is there for its own",
    shape: "whole",
    caughtBy: "takes nobody else's object for its own",
    says: /before begin it says Stored of an object that was there before/,
    breaks: whole((session, key, memory) => ({
      inspect: Effect.map(session.inspect, (found): Inspection => {
        const there = memory.objects.get(key)
        return found._tag === "Stored" || there === undefined
          ? found
          : { _tag: "Stored", object: { id: key, size: there.byteLength, digests: {} } }
      })
    }))
  },
  {
    fault: "deletes what was there before",
    shape: "whole",
    caughtBy: "leaves what was there before",
    says: /not deleted by a session that has written nothing\n {2}but there is no object, where 5000 bytes should be/,
    breaks: whole((session, key, memory) => ({
      discard: Effect.andThen(
        Effect.sync(() => memory.objects.delete(key)),
        session.discard
      )
    }))
  },
  {
    fault: "deletes what others have put there",
    shape: "whole",
    caughtBy: "leaves what others have put there",
    says: /but discard has deleted it/,
    breaks: whole((session, key, memory) => {
      let wrote = false
      return {
        write: (body) =>
          Effect.tap(session.write(body), () =>
            Effect.sync(() => {
              wrote = true
            })
          ),
        discard: Effect.suspend(() => {
          if (wrote) memory.objects.delete(key)
          return session.discard
        })
      }
    })
  },
  {
    fault: "does not hear that it is interrupted",
    shape: "whole",
    caughtBy: "stops in the middle of a body",
    says: /Ctrl-C[\s\S]*a write, when it is interrupted, has not ended within 2000 ms/,
    breaks: whole((session) => ({ write: (body) => Effect.uninterruptible(session.write(body)) }))
  },
  {
    fault: "cannot be interrupted while it begins",
    shape: "whole",
    caughtBy: "stops in begin",
    says: /Ctrl-C[\s\S]*begin, when it is interrupted, has not ended within 2000 ms/,
    alone: true,
    breaks: whole((session) => ({
      begin: Effect.andThen(Effect.uninterruptible(Effect.sleep(3000)), session.begin)
    }))
  },
  {
    fault: "forgets what it made when its beginning is interrupted",
    shape: "parts",
    caughtBy: "stops in begin",
    says: /after begin was interrupted, discard leaves nothing\n {2}but the service has 1 unfinished upload of it/,
    alone: true,
    breaks: parts((session, key, memory) => ({
      begin: Effect.andThen(
        Effect.onInterrupt(Effect.sleep(30), () =>
          Effect.sync(() => memory.uploads.set(`${key}-lost`, { key, startedAt: 0, parts: new Map() }))
        ),
        session.begin
      )
    }))
  },
  {
    fault: "cannot be interrupted while it looks",
    shape: "whole",
    caughtBy: "stops in inspect",
    says: /inspect, when it is interrupted, has not ended within 2000 ms/,
    alone: true,
    breaks: whole((session) => ({
      inspect: Effect.andThen(Effect.uninterruptible(Effect.sleep(3000)), session.inspect)
    }))
  },
  {
    fault: "does not delete an object whose finish was interrupted",
    shape: "parts",
    caughtBy: "stops in finish",
    says: /after finish was interrupted, discard leaves nothing\n {2}but the service holds an object of 262144 bytes/,
    alone: true,
    breaks: parts((session, key, memory) => {
      let bytes: Uint8Array | undefined
      return {
        finish: (object) =>
          Effect.andThen(
            Effect.andThen(session.finish(object), () => {
              bytes = memory.objects.get(key)
              return Effect.void
            }),
            Effect.sleep(30)
          ),
        discard: Effect.tap(session.discard, () =>
          Effect.sync(() => bytes === undefined || memory.objects.set(key, bytes))
        )
      }
    })
  },
  {
    fault: "says that nothing is left of what was interrupted",
    shape: "parts",
    caughtBy: "leaves nothing of transfers that are interrupted at random moments",
    says: /\(interrupted after [\d.]+ ms, number \d+ of seed 1\)/,
    breaks: parts((session) => {
      let cut = false
      return {
        writePart: (part) =>
          Effect.onInterrupt(session.writePart(part), () =>
            Effect.sync(() => {
              cut = true
            })
          ),
        discard: Effect.suspend(() => (cut ? Effect.succeed("none") : session.discard))
      }
    })
  },
  {
    fault: "puts parts together as they came",
    shape: "parts",
    caughtBy: "takes parts in any order, several at once",
    says: /in the order of their numbers\n {2}but the service holds other bytes than were sent/,
    breaks: parts((session, key, memory) => ({
      finish: (object) => {
        const came = [...memory.uploads.values()].find((upload) => upload.key === key)?.parts ?? new Map()
        return Effect.tap(session.finish(object), () =>
          Effect.sync(() => memory.objects.get(key)!.set(join([...came.values()])))
        )
      }
    }))
  },
  {
    fault: "appends a part that is sent again",
    shape: "parts",
    caughtBy: "lets a part that is sent again take the place",
    says: /finish failed: SizeMismatch/,
    breaks: parts((session, key, memory) => ({
      writePart: (part) => {
        const taken = () => [...memory.uploads.values()].find((upload) => upload.key === key)!.parts
        const before = taken().get(part.number)
        return Effect.map(session.writePart(part), (tag) => {
          if (before === undefined) return tag
          const both = join([before, taken().get(part.number)!])
          taken().set(part.number, both)
          return tag.replace(/\d+$/, String(both.byteLength))
        })
      }
    }))
  },
  {
    fault: "makes objects of what parts there are",
    shape: "parts",
    caughtBy: "makes no object of parts that are not there",
    says: /but it succeeded, and part 2 was never sent/,
    breaks: parts((session, key, memory) => ({
      finish: (object) => {
        const there = [...memory.uploads.values()].find((upload) => upload.key === key)?.parts
        const parts = object.parts.filter(({ number }) => there?.has(number))
        const size = parts.reduce((sum, { length }) => sum + length, 0)
        return session.finish({ ...object, parts, size, digests: size === object.size ? object.digests : {} })
      }
    }))
  },
  {
    fault: "spoils the object at a second finish",
    shape: "parts",
    caughtBy: "finishes twice without harm",
    says: /finish is repeated when its answer was lost[\s\S]*but there is no object/,
    breaks: parts((session, key, memory) => {
      let finished = false
      return {
        finish: (object) =>
          Effect.suspend(() => {
            if (finished) memory.objects.delete(key)
            finished = true
            return session.finish(object)
          })
      }
    })
  },
  {
    fault: "goes on with parts that are gone",
    shape: "parts",
    caughtBy: "goes on with the parts that are there",
    says: /parts 1 \(65536 bytes\), 3 \(65536 bytes\) are there, and it gives .*4 \(50 bytes\)/,
    breaks: parts((session) => ({
      resumption: {
        ...session.resumption!,
        resume: (token, noted, cut) =>
          Effect.map(session.resumption!.resume(token, noted, cut), (found) => (found === undefined ? found : noted))
      }
    }))
  },
  {
    fault: "goes on with an upload that is no more",
    shape: "parts",
    caughtBy: "does not go on with an upload that is no more",
    says: /of an upload that was given up it gives the parts 1 \(65536 bytes\)/,
    breaks: parts((session) => ({
      resumption: {
        ...session.resumption!,
        resume: (token, noted, cut) =>
          Effect.map(session.resumption!.resume(token, noted, cut), (found) => found ?? noted)
      }
    }))
  },
  {
    fault: "begins anew what it could go on with",
    shape: "parts",
    caughtBy: "goes on after kill -9 at each write to the journal",
    says: /an upload that was killed .* its journal is gone on with[\s\S]*1 unfinished upload of it/,
    breaks: parts((session) => ({
      resumption: { ...session.resumption!, resume: () => Effect.succeed(undefined) }
    }))
  },
  {
    fault: "does not find what was left behind",
    shape: "parts",
    caughtBy: "finds what was left behind, and gives it up",
    says: /of 0 that are listed none has the token/,
    breaks: (store) => ({ ...store, unfinished: Stream.empty })
  },
  {
    fault: "sends everything twice",
    shape: "whole",
    caughtBy: "is proven by a transfer",
    says: /what nothing has disturbed is sent once\n {2}but 393226 of 196613 bytes were counted as sent/,
    breaks: whole((session) => ({
      write: (body) => session.write({ ...body, onSent: (bytes) => body.onSent(2 * bytes) })
    }))
  },
  {
    fault: "tells its password in an error",
    shape: "whole",
    caughtBy: "tells no secret",
    says: /the error of a body that ends too early has the author's secret number 1 in it/,
    breaks: whole((session) => ({
      write: (body) =>
        Effect.mapError(session.write(body), (error) =>
          error instanceof StoreError.StoreError
            ? new StoreError.StoreError({ ...error, message: `PUT http://me:hunter2@host/: ${error.message}` })
            : error
        )
    }))
  }
]
