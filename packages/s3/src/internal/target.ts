/**
 * Which object, and how its service is reached. What is wrong with it is said before anybody is asked.
 */
import type { Tls } from "@headrace/core/Transport"
import type * as Redacted from "effect/Redacted"
import * as Fault from "./fault.ts"

/** Keys to sign with. */
export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string | Redacted.Redacted
  readonly sessionToken?: string | Redacted.Redacted | undefined
  /** When they end, where they do. */
  readonly expiration?: Date | undefined
}

/** What a store and a source have in common. */
export interface Place {
  readonly bucket: string
  readonly key: string
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly profile?: string | undefined
  readonly credentials?: Keys | (() => Promise<Keys>) | undefined
  readonly pathStyle?: boolean | undefined
  readonly tls?: Tls | undefined
}

/** As people type it; the service's address belongs to the object's name. */
export const uriOf = ({ bucket, endpoint, key }: Place): string => {
  const path = key.split("/").map(encodeURIComponent).join("/")
  const shown = endpoint === undefined || !URL.canParse(endpoint) ? undefined : new URL(endpoint)
  const at = shown === undefined ? "" : `?endpoint=${shown.origin}${shown.pathname.replace(/\/$/, "")}`
  return `s3://${encodeURIComponent(bucket)}/${path}${at}`
}

const maxKeyBytes = 1024

export const wrong = (place: Place): Fault.Fault | undefined => {
  const { key } = place
  const bad = (message: string) => Fault.make("InvalidUri", message)
  if (key === "") return bad("the object's key is missing: s3://BUCKET/KEY")
  if (Buffer.byteLength(key) > maxKeyBytes) return bad(`the object's key has more than ${maxKeyBytes} bytes`)
  // Whoever takes a URL apart leaves them out, and would name another object.
  if (key.split("/").some((segment) => segment === "." || segment === "..")) {
    return bad("a key with '.' or '..' between slashes cannot be addressed")
  }
  return wrongBucket(place)
}

/** The same for what has no key. */
export const wrongBucket = ({ bucket, endpoint }: Place): Fault.Fault | undefined => {
  if (!/^[A-Za-z0-9][A-Za-z0-9._:-]{1,254}$/.test(bucket)) {
    return Fault.make("InvalidUri", "the bucket's name is not one")
  }
  if (endpoint === undefined) return undefined
  if (!URL.canParse(endpoint)) return Fault.make("InvalidConfig", "the endpoint is not a URL")
  const url = new URL(endpoint)
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return Fault.make("InvalidConfig", "the endpoint is no http: or https: URL")
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return Fault.make("InvalidConfig", "the endpoint has a user, a query or a fragment, which it cannot have")
  }
  return undefined
}

/** Names that cannot be a part of the host's name, or of one that a certificate is for. */
export const needsPath = (bucket: string): boolean => !/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)
