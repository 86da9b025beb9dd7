/**
 * The object under a key, and whose it is: what was there before is remembered, so that it is never taken for ours; and
 * what another writer has put there since is left alone.
 */
import type { Digests } from "@headrace/core/Digest"
import type { Inspection, Left, StoredPart } from "@headrace/core/Store"
import * as WasmAlgorithm from "@headrace/core/WasmAlgorithm"
import * as Effect from "effect/Effect"
import { bare, compositeInput, etagOfParts, md5OfEtag } from "./encoding.ts"
import * as Fault from "./fault.ts"
import * as Look from "./look.ts"
import type { Setting } from "./setting.ts"
import type { Site } from "./site.ts"

/** What we have sent. */
export interface Claim {
  readonly size: number
  readonly digests: Digests
  /** Nothing for an object that was sent by one PUT. */
  readonly parts: ReadonlyArray<StoredPart> | undefined
}

/** What the service has said of what it made. */
export interface Made {
  readonly etag: string | undefined
  readonly version: string | undefined
  /** Of the whole, where its answer has some. */
  readonly digests: Digests
}

export type Finding =
  | { readonly _tag: "Ours"; readonly inspection: Inspection }
  | { readonly _tag: "Other" }
  /** `taken`: there is something else. */
  | { readonly _tag: "None"; readonly taken: boolean }

/** Deleting takes no longer, so that a person who waits after Ctrl-C is told what is left. */
const removeMs = 2000

/** The ETag that the service will have given an object of these parts, if it gives what everybody gives. */
const expectedEtag = ({ digests, parts }: Claim): string | undefined => {
  if (parts === undefined) return digests.md5
  const md5s = parts.map(({ tag }) => md5OfEtag(tag))
  return md5s.every((md5) => md5 !== undefined) ? etagOfParts(md5s) : undefined
}

const allOf = (parts: ReadonlyArray<StoredPart>, algorithm: "md5" | "crc32c"): ReadonlyArray<string> | undefined => {
  const hexes = parts.map(({ digests }) => digests[algorithm])
  return hexes.every((hex) => hex !== undefined) ? hexes : undefined
}

const crc32cOf = (bytes: Uint8Array): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => WasmAlgorithm.make("crc32c")),
    (hash) => {
      hash.init()
      hash.update(bytes)
      return hash.digest()
    }
  )

/** What an ETag proves: that the bytes are ours, where it is the one that ours give. Another one proves nothing. */
const byEtag = (etag: string | undefined, { digests, parts }: Claim): Digests => {
  const { md5 } = digests
  if (md5 === undefined || etag === undefined) return {}
  const md5s = parts === undefined ? undefined : allOf(parts, "md5")
  const expected = parts === undefined ? md5 : md5s === undefined ? undefined : etagOfParts(md5s)
  return bare(etag).toLowerCase() === expected ? { md5 } : {}
}

const differing = (ours: Digests, theirs: Digests): boolean =>
  (Object.keys(theirs) as Array<keyof Digests>).some((name) => ours[name] !== undefined && ours[name] !== theirs[name])

const sharing = (ours: Digests, theirs: Digests): boolean =>
  (Object.keys(theirs) as Array<keyof Digests>).some((name) => ours[name] !== undefined && ours[name] === theirs[name])

export class Ours {
  readonly #site: Site
  readonly #uri: string
  readonly #metadata: Setting["metadata"]
  before: Look.Look
  readonly notes = new Set<string>()
  /** Whether the service was found to report nothing that ours can be compared with. */
  mute = false
  claim: Claim | undefined
  made: Made | undefined
  /** Whether what we have sent may have become the object, and nobody has said so. */
  unclear = false
  /** Whether what the service holds of ours is known not to be what was sent. */
  #wrong = false

  constructor({ before, metadata, site, uri }: Setting) {
    this.#site = site
    this.#uri = uri
    this.#metadata = metadata
    this.before = before
  }

  /** Whether there can be an object of ours. */
  get possible(): boolean {
    return this.made !== undefined || this.unclear
  }

  /** `ended`: the upload is no more, so something has become of it, and what looks like before may be ours. */
  find(ended: boolean): Effect.Effect<Finding, Fault.Fault> {
    return Effect.flatMap(Look.at(this.#site), (now): Effect.Effect<Finding, Fault.Fault> => {
      const { claim, made } = this
      const none: Finding = { _tag: "None", taken: now._tag === "Found" }
      if (now._tag === "Absent" || claim === undefined || !this.possible) return Effect.succeed(none)
      if (now._tag === "Unseen") return this.#unseen(now.fault, claim)
      if (made === undefined && !this.#recognized(now, claim, ended)) return Effect.succeed(none)
      if (made !== undefined && !isSame(made, now)) return Effect.succeed({ _tag: "Other" })
      this.made ??= { etag: now.etag, version: now.version, digests: {} }
      return Effect.map(this.#stored(now, claim), (inspection) => ({ _tag: "Ours", inspection }))
    })
  }

  /** What the answer by which the object was made says of it, where that proves that it is what was sent. */
  #told(claim: Claim): Digests | undefined {
    const { digests } = claim
    const told = { ...byEtag(this.made?.etag, claim), ...this.made?.digests }
    return sharing(digests, told) && !differing(digests, told) ? told : undefined
  }

  /** The same for an inspection, where looks have shown that the service has what its answers say. */
  told(): Inspection | undefined {
    const { claim } = this
    const digests = claim === undefined ? undefined : this.#told(claim)
    if (digests === undefined || !this.#site.service.believed) return undefined
    if (this.made?.version !== undefined) this.notes.add(`version ${this.made.version}`)
    return { _tag: "Stored", object: { id: this.#uri, size: claim!.size, digests } }
  }

  /** Nobody has said that we made it: it must be new, and what we sent. */
  #recognized(now: Look.Found, claim: Claim, ended: boolean): boolean {
    if (now.size !== claim.size || differing(claim.digests, now.digests)) return false
    // Nobody has looked what was there before: one that is the same in every respect serves as well as ours.
    const isNew = this.before._tag === "Unknown" ? this.#asMeant(now) : Look.differs(this.before, now)
    if (!ended && !isNew) return false
    return (
      sharing(claim.digests, now.digests) ||
      (now.etag !== undefined && bare(now.etag).toLowerCase() === expectedEtag(claim))
    )
  }

  #asMeant({ contentType, storageClass }: Look.Found): boolean {
    const { ContentType, StorageClass } = this.#metadata
    return contentType === ContentType && (storageClass ?? "STANDARD") === (StorageClass ?? "STANDARD")
  }

  #stored(now: Look.Found, claim: Claim): Effect.Effect<Inspection, Fault.Fault> {
    return Effect.gen({ self: this }, function* () {
      const composite = yield* this.#byComposite(now, claim)
      const digests: Digests = { ...byEtag(now.etag, claim), ...composite, ...now.digests }
      this.#wrong = now.size !== claim.size || differing(claim.digests, now.digests)
      if (now.version !== undefined) this.notes.add(`version ${now.version}`)
      const shared = sharing(claim.digests, digests)
      this.mute = !shared
      if (!this.#wrong && shared && this.#told(claim) !== undefined) {
        this.#site.service.believed = true
      }
      return { _tag: "Stored", object: { id: this.#uri, size: now.size, digests } }
    })
  }

  /** The CRC32C of the parts' CRC32Cs: when it is the one that ours give, the whole's is what the parts' give. */
  #byComposite(now: Look.Found, { digests, parts }: Claim): Effect.Effect<Digests, Fault.Fault> {
    const theirs = now.composite.crc32c
    const ours = parts === undefined ? undefined : allOf(parts, "crc32c")
    if (theirs === undefined || ours === undefined) return Effect.succeed({})
    return Effect.flatMap(crc32cOf(compositeInput(ours)), (hex) => {
      if (hex === theirs.hex && ours.length === theirs.parts) {
        return Effect.succeed(digests.crc32c === undefined ? {} : { crc32c: digests.crc32c })
      }
      this.#wrong = true
      const message = `the CRC32C of the parts' CRC32Cs is ${hex}-${ours.length}, of what the service holds ${theirs.hex}-${theirs.parts}`
      return Effect.fail(Fault.make("DigestMismatch", message))
    })
  }

  /** Made, and not to be seen: what the service said when it made it is all that is known. */
  #unseen(fault: Fault.Fault, claim: Claim): Effect.Effect<Finding, Fault.Fault> {
    if (this.made === undefined) return Effect.fail(fault)
    const digests = { ...byEtag(this.made.etag, claim), ...this.made.digests }
    this.#wrong = differing(claim.digests, digests)
    this.notes.add("the service took the object, and does not let these keys look at it")
    return Effect.succeed({
      _tag: "Ours",
      inspection: { _tag: "Stored", object: { id: this.#uri, size: undefined, digests } }
    })
  }

  /** What is left of an object that we may have made, without deleting it. */
  readonly left: Effect.Effect<Left> = Effect.suspend(() =>
    this.possible
      ? Effect.map(Effect.option(this.find(false)), (found) =>
          this.#leftOf(found._tag === "Some" ? found.value : undefined)
        )
      : Effect.succeed("none")
  )

  #leftOf(found: Finding | undefined): Left {
    if (found === undefined || (found._tag === "None" && this.unclear)) return `unknown ${this.#uri}`
    // Another writer's is none of what we have left.
    return found._tag === "Ours" ? `object ${this.#uri}` : "none"
  }

  /**
   * Whether our object may be deleted: where there was none before; where only a version goes, and the one before is
   * seen again; and where it is known to be wrong, as what was there before is lost already, and nobody is to take
   * wrong bytes for it.
   */
  get #deletable(): boolean {
    return this.before._tag === "Absent" || this.made?.version !== undefined || this.#wrong
  }

  /** Deletes what we made, if it is ours to delete, and says what is left. */
  readonly remove: Effect.Effect<Left> = Effect.gen({ self: this }, function* () {
    if (!this.possible) return "none"
    // What looks as before is not touched: the upload may be no more because it was given up.
    const found = yield* Effect.result(this.find(false))
    const seen = found._tag === "Success" ? found.success : undefined
    // A comparison that failed has shown that it is ours, and wrong.
    if (seen?._tag !== "Ours" && (seen !== undefined || !this.#wrong)) return this.#leftOf(seen)
    if (this.made === undefined || !this.#deletable) return `object ${this.#uri}`
    const deleted = yield* Effect.option(this.#delete(this.made))
    if (deleted._tag === "None") return `object ${this.#uri}`
    this.made = undefined
    this.unclear = false
    return "none"
  })

  #delete({ etag, version }: Made): Effect.Effect<unknown, Fault.Fault> {
    const { bucket, key } = this.#site.place
    const request = (condition: { readonly VersionId?: string; readonly IfMatch?: string }) =>
      this.#site.call(
        "the object cannot be deleted",
        (s3, { DeleteObjectCommand }, options) =>
          s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key, ...condition }), options),
        removeMs
      )
    if (version !== undefined) return request({ VersionId: version })
    // Whoever has put something else there in this moment keeps it, where the service knows the condition.
    const plain = request({})
    return etag === undefined
      ? plain
      : Effect.catch(request({ IfMatch: etag }), (fault) =>
          fault.status === 501 || fault.code === "InvalidRequest" ? plain : Effect.fail(fault)
        )
  }
}

const isSame = (made: Made, now: Look.Found): boolean =>
  made.version !== undefined && now.version !== undefined
    ? made.version === now.version
    : made.etag === undefined || now.etag === undefined || bare(made.etag) === bare(now.etag)
