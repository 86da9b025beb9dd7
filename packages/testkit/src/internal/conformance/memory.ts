/**
 * Memory and pace: whose the blocks are, and how many bytes a session may have in hand.
 */
import * as Effect from "effect/Effect"
import { noise } from "./bytes.ts"
import { at, type Draft } from "./draft.ts"
import * as Feed from "./feed.ts"
import { blockBytes } from "./lab.ts"

const blockDoc = "packages/core/src/Block.ts, and docs/write-a-store.md, section 4"

/** Blocks that a session may have taken, beyond what it has said to have sent. */
const mostBlocks = 8

export const givesBack: Draft = {
  name: "gives every block back",
  needs: [],
  see: blockDoc,
  run: (lab) =>
    Effect.gen(function* () {
      yield* Feed.store(lab, lab.key(), noise(5 * blockBytes + 3, 11))
      yield* lab.noBlocks(
        "whoever takes a block of a body gives it back, before the write ends",
        "after a body of 6 blocks was taken"
      )
    })
}

export const keepsNothing: Draft = {
  name: "uses no memory that it has given back",
  needs: [],
  see: blockDoc,
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(6 * blockBytes + 5, 12)
      const { session } = yield* Feed.store(lab, key, bytes, { poison: true })
      Feed.poison(yield* Feed.share(lab))
      const contract =
        "a block's bytes are a view that is valid until release: the memory is used again at once, and whoever needs it longer copies it"
      yield* lab.ok("inspect", contract, session.inspect)
      yield* lab.holds(key, bytes, contract)
    })
}

export const shared: Draft = {
  name: "sends bytes from shared memory as they are",
  needs: [],
  see: "packages/core/src/Block.ts, bytes and copy",
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      // No text: whoever takes a view for a string sends more of it.
      const bytes = noise(blockBytes + 1, 13).map((byte) => byte | 0x80)
      yield* Feed.store(lab, key, bytes)
      yield* lab.holds(
        key,
        bytes,
        "blocks are views on a SharedArrayBuffer, and fetch silently sends other bytes for them: it has to be given a copy"
      )
    })
}

export const countsOnce: Draft = {
  name: "counts each byte once",
  needs: [],
  see: at("Body.onSent"),
  run: (lab) =>
    Effect.gen(function* () {
      const contract = "onSent is called with the bytes that were handed on, each once"
      const { sent } = yield* Feed.store(lab, lab.key(), noise(3 * blockBytes + 7, 14))
      for (const feed of sent.feeds) {
        yield* lab.check(feed.sent === feed.pulled, contract, `of ${feed.pulled} bytes it has counted ${feed.sent}`)
      }
    })
}

export const holdsLittle: Draft = {
  name: "takes no more of a body than it sends",
  needs: [],
  see: "docs/architecture.md: the pool is the backpressure",
  run: (lab) =>
    Effect.gen(function* () {
      const blocks = lab.isParts ? Math.ceil((2 * lab.partBytes) / blockBytes) + 40 : 40
      const bytes = noise(blocks * blockBytes, 15)
      const { sent } = yield* Feed.store(lab, lab.key(), bytes)
      // Parts that are smaller than that cannot show it.
      const ahead = Math.max(...sent.feeds.map(({ mostAhead }) => mostAhead))
      yield* lab.check(
        ahead <= mostBlocks * blockBytes,
        "a body is sent while it is taken: memory is bounded by the pool, whatever the size of the object",
        `it had taken ${Math.round(ahead / blockBytes)} blocks more than it had sent, at most are ${mostBlocks}`
      )
    })
}

export const all: ReadonlyArray<Draft> = [givesBack, keepsNothing, shared, countsOnce, holdsLittle]
