/**
 * Version 1 of signing in, which is Swift's own: two header fields go in, the account's address and a token come out.
 * It is what tempauth speaks (Swift's `tempauth.py`, `handle_get_token`).
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { VersionOne } from "../Auth.ts"
import type { Client, Token } from "../Keystone.ts"
import * as KeystoneError from "../KeystoneError.ts"
import { call } from "./call.ts"

/** The account's address, or that of another account at the same place. */
const addressOf = (storageUrl: string, account: string | undefined): string =>
  account === undefined ? storageUrl : storageUrl.replace(/\/+$/, "").replace(/[^/]*$/, encodeURIComponent(account))

export const signIn = Effect.fnUntraced(function* (
  client: Client,
  { account, authUrl, password, username }: VersionOne
): Effect.fn.Return<Token, KeystoneError.KeystoneError> {
  const { origin, pathname } = new URL(authUrl)
  const where = `${origin}${pathname}`
  const answer = yield* call(client, {
    method: "GET",
    url: authUrl,
    headers: { "x-auth-user": username, "x-auth-key": Redacted.value(password) },
    who: "the sign-in of Swift"
  })
  const { headers, status, words } = answer
  const requestId = headers["x-trans-id"]
  const fields = { cloud: client.cloud, status, ...(requestId === undefined ? {} : { requestId }) }
  const said = `status ${status}${words === "" || status === 401 ? "" : `: ${words}`}`
  if (status === 401 || status === 403) {
    return yield* KeystoneError.make(status === 401 ? "Unauthorized" : "Forbidden", {
      ...fields,
      message: `sign-in refused (${said}); check user "${username}" and its password, and auth_url ${where}`
    })
  }
  if (status === 404) {
    return yield* KeystoneError.make("NotFound", {
      ...fields,
      message: `no version 1 of signing in at ${where} (${said}); check auth_url`
    })
  }
  const storageUrl = headers["x-storage-url"]
  const value = headers["x-auth-token"] ?? headers["x-storage-token"]
  if (status < 200 || status > 299 || storageUrl === undefined || value === undefined || !URL.canParse(storageUrl)) {
    return yield* KeystoneError.make(status >= 500 ? "Unavailable" : "Rejected", {
      ...fields,
      message: `${where} does not answer as Swift's sign-in does (${said}): check auth_url`
    })
  }
  const seconds = Number(headers["x-auth-token-expires"])
  return {
    value: Redacted.make(value),
    ...(seconds > 0 ? { lifeMs: seconds * 1000 } : {}),
    catalog: [
      {
        type: "object-store",
        name: "swift",
        endpoints: [{ interface: "public", url: addressOf(storageUrl, account), regions: [] }]
      }
    ],
    owner: {}
  }
})
