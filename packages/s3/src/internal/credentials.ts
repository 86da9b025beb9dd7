/**
 * Keys to sign with: those that are given, else as the AWS tools find them.
 */
import type { S3ClientConfig } from "@aws-sdk/client-s3"
import * as Redacted from "effect/Redacted"
import type { Keys, Place } from "./target.ts"

const plain = (text: string | Redacted.Redacted): string => (Redacted.isRedacted(text) ? Redacted.value(text) : text)

const identityOf = async (given: NonNullable<Place["credentials"]>) => {
  const keys: Keys = typeof given === "function" ? await given() : given
  const { accessKeyId, expiration, secretAccessKey, sessionToken } = keys
  return {
    accessKeyId,
    secretAccessKey: plain(secretAccessKey),
    ...(sessionToken === undefined ? undefined : { sessionToken: plain(sessionToken) }),
    ...(expiration === undefined ? undefined : { expiration })
  }
}

export type Provider = Extract<S3ClientConfig["credentials"], (...args: never) => unknown>

/** The files are read afresh, not as the SDK remembers them. */
const fetcher = ({ credentials, profile }: Place): Provider => {
  if (credentials !== undefined) return () => identityOf(credentials)
  return async (properties) => {
    const { defaultProvider } = await import("@aws-sdk/credential-provider-node")
    const init = { ignoreCache: true, ...(profile === undefined ? undefined : { profile }) }
    return defaultProvider(init)(properties)
  }
}

/** Keys that end in less are fetched anew, as the SDK does. */
const marginMs = 300_000

/** One provider for several clients: what it fetches is good for all of them. */
const shared = (fetch: Provider): Provider => {
  let last: ReturnType<Provider> | undefined
  return async (properties) => {
    const { expiration } = (await last?.catch(() => undefined)) ?? {}
    if (expiration !== undefined && expiration.getTime() - Date.now() < marginMs) last = undefined
    last ??= fetch(properties)
    return last.catch((error: unknown) => {
      last = undefined
      throw error
    })
  }
}

/** Whoever asks for another one has been told that the keys of this one have ended. */
export const of = (place: Place): Provider => shared(fetcher(place))
