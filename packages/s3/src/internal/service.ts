/**
 * A service as somebody who has keys for a bucket of it knows it: the SDK's clients, the keys, the region, and what was
 * learnt of it. Stores and sources of one place share it for a while, as the clients alone cost more than a small object.
 */
import { createHash } from "node:crypto"
import type * as SdkModule from "@aws-sdk/client-s3"
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3"
import type { Transport } from "@headrace/core/Transport"
import { isAws, recognized, type Vendor } from "../Profile.ts"
import * as Credentials from "./credentials.ts"
import { endpointOf } from "./endpoint.ts"
import * as Put from "./put.ts"
import { needsPath, type Place } from "./target.ts"
import * as Wire from "./wire.ts"

export type Sdk = typeof SdkModule

/** One command, sent by the client that it is given. */
export type Command<A> = (s3: S3Client, sdk: Sdk, options: Wire.CallOptions) => Promise<A>

/** The SDK warns on the console of what we do on purpose. */
const silent = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Clients that have the same keys, until these end or the bucket turns out to be elsewhere. */
export interface Clients {
  readonly region: string | undefined
  readonly sending: S3Client
  readonly signing: S3Client
  /** How bodies of ours are signed; nothing where only the SDK's commands know how. */
  body: Promise<{ readonly base: Put.Base; readonly signer: Signer } | undefined> | undefined
}

const anyKey = "key"

type Signer = Awaited<ReturnType<S3Client["config"]["signer"]>>

export class Service {
  readonly sdk: Sdk
  readonly #place: Place
  readonly #endpoint: string | undefined
  readonly #wire: NonNullable<S3ClientConfig["requestHandler"]>
  #region: string | undefined
  #pathStyle: boolean
  #clients: Clients
  #vendor: Vendor | undefined
  /** The service's host. */
  host = ""
  /** Whether a look has shown that what an answer to a PUT says of the object is what the service has. */
  believed = false
  /** Whether there was an object already where the last one was put. */
  replacing = false
  /** Whether its keys were refused: the next one who comes finds it anew. */
  refused = false

  private constructor(place: Place, sdk: Sdk, endpoint: string | undefined, transport: Transport["Service"]) {
    this.sdk = sdk
    this.#place = place
    this.#endpoint = endpoint
    this.#region = place.region
    this.#pathStyle = place.pathStyle ?? (endpoint !== undefined || needsPath(place.bucket))
    this.#wire = Wire.sending({ transport, tls: place.tls, onHeaders: (headers) => this.heard(headers) })
    this.#clients = this.#make()
  }

  #make(): Clients {
    const { profile } = this.#place
    const config: S3ClientConfig = {
      ...(this.#endpoint === undefined ? undefined : { endpoint: this.#endpoint }),
      ...(this.#region === undefined ? undefined : { region: this.#region }),
      ...(profile === undefined ? undefined : { profile }),
      credentials: Credentials.of(this.#place),
      forcePathStyle: this.#pathStyle,
      // The engine retries, and knows what may be sent again.
      maxAttempts: 1,
      // No checksum but those that we give: the SDK's own make an `aws-chunked` body, which many services refuse.
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
      expectContinueHeader: false,
      logger: silent
    }
    return {
      region: this.#region,
      sending: new this.sdk.S3Client({ ...config, requestHandler: this.#wire }),
      signing: new this.sdk.S3Client({ ...config, requestHandler: Wire.catching }),
      body: undefined
    }
  }

  /** Finds a service, and whether a bucket's name belongs into the host's or into the path. */
  static async find(place: Place, transport: Transport["Service"]): Promise<Service> {
    const sdk = await import("@aws-sdk/client-s3")
    const service = new Service(place, sdk, await endpointOf(place), transport)
    if (place.region === undefined) {
      const missing = await service.#clients.sending.config.region().then(
        () => false,
        () => true
      )
      // As the AWS tools take it for S3; AWS answers where the bucket is, others do not mind.
      if (missing) {
        service.#region = "us-east-1"
        service.#clients = service.#make()
      }
    }
    service.host = await service.#hostOf()
    // An endpoint of the environment or of the profile: few of those who run one have a name for each bucket.
    if (!service.#pathStyle && place.pathStyle === undefined && !isAws(service.host)) {
      service.#pathStyle = true
      service.#clients = service.#make()
      service.host = await service.#hostOf()
    }
    return service
  }

  async #hostOf(): Promise<string> {
    return new URL((await this.#head(this.#clients)).url).hostname
  }

  /** A request for any object of the bucket, as the SDK makes it. */
  #head({ signing }: Clients): Promise<Wire.Signed> {
    const { HeadObjectCommand } = this.sdk
    return Wire.caught(() => signing.send(new HeadObjectCommand({ Bucket: this.#place.bucket, Key: anyKey })))
  }

  /** Those of now. Whoever fails with them hands them back to `another`. */
  get clients(): Clients {
    return this.#clients
  }

  /** Makes other clients in the place of those that were used, unless somebody has done so already. */
  another(used: Clients, region?: string): void {
    if (used !== this.#clients) return
    if (region !== undefined) this.#region = region
    this.#clients = this.#make()
  }

  /** Told of the fields of each answer, by which it is seen what the service is. */
  heard(headers: Readonly<Record<string, string>>): void {
    const vendor = recognized(this.host, headers)
    // What stands in front of a service may answer too, and shows nothing.
    if (vendor !== "generic" || this.#vendor === undefined) this.#vendor = vendor
  }

  /** What it is, as far as it has shown. */
  get vendor(): Vendor {
    return this.#vendor ?? recognized(this.host, {})
  }

  /** Signs a request without a body. */
  sign({ signing }: Clients, command: Command<unknown>): Promise<Wire.Signed> {
    return Wire.caught(() => command(signing, this.sdk, {}))
  }

  /** Signs a request for a body that is ours. */
  async signPut(clients: Clients, key: string, put: Put.Put): Promise<Wire.Signed> {
    const { signing } = clients
    clients.body ??= this.#head(clients).then(async (head) => {
      const base = Put.baseOf(head, anyKey)
      return base === undefined ? undefined : { base, signer: await signing.config.signer() }
    })
    const body = await clients.body
    if (body === undefined) {
      return Wire.caught(() => Put.command(signing, this.sdk, { Bucket: this.#place.bucket, Key: key }, put))
    }
    const { base, signer } = body
    const signed = await signer.sign(Put.unsigned(base, key, put), {
      signingRegion: base.region,
      signingService: "s3"
    })
    return Wire.signedOf(signed)
  }
}

/** Milliseconds: keys and files may change without anybody saying so, and keys are not to be held for ever. */
const sharedMs = 60_000

/** Places that are remembered for one transport. */
const mostShared = 16

interface Entry {
  readonly place: Place
  readonly environment: string
  readonly service: Promise<Service>
  /** When it is found. */
  found: Service | undefined
}

const entries = new WeakMap<Transport["Service"], Array<Entry>>()

/** What the SDK reads of the environment; as a hash, as there may be keys in it. */
const environmentFor = ({ credentials, endpoint, region }: Place): string => {
  if (credentials !== undefined && endpoint !== undefined && region !== undefined) return ""
  const hash = createHash("sha256")
  for (const name of Object.keys(process.env)) {
    if (name.startsWith("AWS_") || name === "HOME") hash.update(`${name}\0${process.env[name]}\0`)
  }
  return hash.digest("base64")
}

const sameKeys = (a: Place["credentials"], b: Place["credentials"]): boolean =>
  a === b ||
  (typeof a === "object" &&
    typeof b === "object" &&
    a.accessKeyId === b.accessKeyId &&
    a.secretAccessKey === b.secretAccessKey &&
    a.sessionToken === b.sessionToken &&
    a.expiration?.getTime() === b.expiration?.getTime())

const isSame = (a: Place, b: Place): boolean =>
  a.bucket === b.bucket &&
  a.endpoint === b.endpoint &&
  a.region === b.region &&
  a.profile === b.profile &&
  a.pathStyle === b.pathStyle &&
  a.tls === b.tls &&
  sameKeys(a.credentials, b.credentials)

/** A copy: who gives keys in an object may change it. */
const copied = (place: Place): Place => {
  const { credentials } = place
  return typeof credentials === "object" ? { ...place, credentials: { ...credentials } } : place
}

/** The service of a place, as it is known already or found now. */
export const of = (place: Place, transport: Transport["Service"]): Promise<Service> => {
  const known = entries.get(transport) ?? []
  entries.set(transport, known)
  const forget = (entry: Entry | undefined) => {
    const index = entry === undefined ? -1 : known.indexOf(entry)
    if (index >= 0) known.splice(index, 1)
  }
  const environment = environmentFor(place)
  const last = known.find((entry) => entry.environment === environment && isSame(entry.place, place))
  if (last !== undefined && last.found?.refused !== true) return last.service
  forget(last)
  const service = Service.find(place, transport)
  const entry: Entry = { place: copied(place), environment, service, found: undefined }
  known.push(entry)
  if (known.length > mostShared) known.shift()
  service.then(
    (found) => {
      entry.found = found
    },
    () => forget(entry)
  )
  setTimeout(() => forget(entry), sharedMs).unref()
  return service
}
