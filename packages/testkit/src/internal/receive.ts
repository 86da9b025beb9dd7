/**
 * The body of an upload on its way into a store: counted, digested, inspected, held against every limit that the real
 * service looks at while it reads. Faults that strike in the body strike here.
 */
import { Digests, openSink, type Sink } from "./data.ts"
import { HttpFailure } from "./errorPage.ts"
import { type Fault, strikes } from "./faults.ts"
import type { Body } from "./httpBody.ts"
import { BadChunk, BodyCut, ChunkTooLarge } from "./httpBody.ts"
import type { Image } from "./image.ts"
import { force, type Site } from "./site.ts"
import { Inspector } from "./inspect.ts"
import { checkFull, type StoreOptions } from "./stores.ts"
import { WireTimeout } from "./wire.ts"

/** Glance moves data in pieces of this size, which shows in its messages. */
const writeSize = 65_536

/** The faults that end a request. */
export type Ending = Fault & { readonly type: "answer" | "drop" }

/** A fault that ended the request where it struck, with what had come until then. */
export class Struck extends Error {
  override readonly name = "Struck"
  readonly fault: Ending
  received: Received | undefined
  constructor(fault: Ending) {
    super("a fault struck")
    this.fault = fault
  }
}

export interface Received {
  readonly sink: Sink
  readonly size: number
  readonly checksum: string | null
  readonly hashValue: string | null
  readonly inspector: Inspector | undefined
}

export interface Receiving {
  readonly image: Image
  readonly body: Body
  readonly store: StoreOptions
  /** What the client said, 0 for unknown. */
  readonly expected: number
  /** Bytes left by the older quota, where the size was known in advance. */
  readonly remaining: number | undefined
  readonly hashAlgo: string
  readonly fault: Fault | undefined
}

/** What a broken body is to the application, given the server in front of it. */
export const bodyFailure = (site: Site, error: unknown): unknown => {
  if (error instanceof BadChunk) {
    return new HttpFailure(400, `invalid literal for int() with base 16: b'${error.line}'`)
  }
  if (error instanceof BodyCut && error.framing === "chunked" && site.manner === "eventlet") {
    return new HttpFailure(400, "invalid literal for int() with base 16: b''")
  }
  if (error instanceof BodyCut || error instanceof WireTimeout || error instanceof ChunkTooLarge) {
    return new HttpFailure(500)
  }
  return error
}

/** Faults that strike at a moment of the body. Throws `Struck` where the request ends. */
export const strike = async (site: Site, image: Image, fault: Fault | undefined, bytes: number, end: boolean) => {
  if (fault === undefined || !("at" in fault) || !strikes(fault.at, bytes, end)) return false
  if (fault.type === "delay") await site.sleep(fault.ms)
  else if (fault.type === "delete") force(image, "deleted")
  else if (fault.type === "answer" || fault.type === "drop") throw new Struck(fault)
  return true
}

const sizeExceeded = async (body: Body, expected: number, received: number): Promise<HttpFailure> => {
  const boundary = Math.ceil((Math.max(expected, 0) + 1) / writeSize) * writeSize
  let got = received
  while (got < boundary) {
    const piece = await body.read()
    if (piece === undefined) break
    got += piece.length
  }
  return new HttpFailure(400, `Size exceeds: expected ${expected} bytes, got ${Math.min(got, boundary)} bytes`)
}

/** What a fault makes of a piece that begins at `from`. */
const altered = (piece: Buffer, from: number, fault: Fault | undefined): Buffer => {
  if (fault?.type === "truncate") return piece.subarray(0, Math.max(0, fault.bytes - from))
  if (fault?.type !== "corrupt" || fault.offset < from || fault.offset >= from + piece.length) return piece
  const copy = Buffer.from(piece)
  copy[fault.offset - from] = copy[fault.offset - from]! ^ 0xff
  return copy
}

const limits = async (site: Site, receiving: Receiving, received: number): Promise<void> => {
  const { body, expected, remaining, store } = receiving
  if (received > site.quota.sizeCap) {
    throw new HttpFailure(413, "The incoming image is too large: The provided image is too large.")
  }
  if (remaining !== undefined && received > remaining) {
    throw new HttpFailure(
      413,
      `Image exceeds the storage quota: The size of the data ${received} will exceed the limit. ${remaining} bytes remaining.`
    )
  }
  if (site.release === "33" && expected !== 0 && received > expected) throw await sizeExceeded(body, expected, received)
  checkFull(store, received)
}

const move = async (site: Site, receiving: Receiving, sink: Sink): Promise<Received> => {
  const { body, expected, fault, image } = receiving
  const digests = site.hash ? new Digests(receiving.hashAlgo) : undefined
  const inspector = site.inspectFormats && image.containerFormat === "bare" ? new Inspector() : undefined
  const finish = (): Received => {
    const sums = digests?.finish()
    return { sink, size: sink.bytes, checksum: sums?.checksum ?? null, hashValue: sums?.value ?? null, inspector }
  }
  let received = 0
  let waiting = fault !== undefined && "at" in fault
  const struck = async (end: boolean): Promise<void> => {
    if (!waiting) return
    const done = await strike(site, image, fault, received, end).catch((error: unknown) => {
      if (error instanceof Struck) error.received = finish()
      throw error
    })
    if (done) waiting = false
  }
  for (let piece = await body.read(); piece !== undefined; piece = await body.read()) {
    if (received === 0) site.counters.uploads++
    const from = received
    received += piece.length
    await limits(site, receiving, received)
    const kept = altered(piece, from, fault)
    if (kept.length > 0) {
      digests?.update(kept)
      inspector?.update(kept)
      site.counters.storedBytes += kept.length
      const written = sink.write(kept)
      if (written !== undefined) await written
    }
    await struck(false)
    if (fault?.type === "trickle") await site.sleep((piece.length / fault.bytesPerSecond) * 1000)
  }
  if (site.release === "33" && expected !== 0 && received !== expected) {
    throw new HttpFailure(400, `Size mismatch: expected ${expected} bytes, got ${received} bytes`)
  }
  await struck(true)
  return finish()
}

/** Reads the whole body into the store. On a failure the partial data is removed; a fault that struck decides itself. */
export const receive = async (site: Site, receiving: Receiving): Promise<Received> => {
  const sink = openSink(site.data, receiving.store.id, receiving.image.id)
  const { killed } = site.life
  try {
    return await move(site, receiving, sink)
  } catch (error) {
    if (error instanceof Struck) throw error
    await sink.finish(killed !== site.life.killed)
    throw bodyFailure(site, error)
  }
}
