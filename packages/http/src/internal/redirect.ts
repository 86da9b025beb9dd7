/**
 * Where a redirected body goes. Only 307 and 308 keep the method and the body (RFC 9110 §15.4.8, §15.4.9); the others
 * would make a GET of it, which is not what anybody means who uploads.
 */
import type { Response } from "@headrace/core/Transport"
import * as Words from "./words.ts"

export const mostRedirects = 5

export type Redirect =
  | { readonly _tag: "Follow"; readonly url: URL }
  | { readonly _tag: "Refuse"; readonly why: string }

/** Judges an answer of 3xx to a request at `from`, which has been redirected `hops` times before. */
export const judge = (from: URL, { headers, status }: Pick<Response, "headers" | "status">, hops: number): Redirect => {
  const refuse = (why: string): Redirect => ({ _tag: "Refuse", why })
  const location = headers["location"]
  const url = location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined
  const name = Words.status(status)
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return refuse(`the server answered ${name} without an address to go to`)
  }
  if (status !== 307 && status !== 308) {
    return refuse(
      `the server redirects to ${url.origin} with ${name}, which takes no body there; name that address itself`
    )
  }
  if (from.protocol === "https:" && url.protocol === "http:") {
    return refuse(`the server redirects to ${url.origin}, which is not encrypted (${name})`)
  }
  if (hops >= mostRedirects) return refuse(`redirected ${hops + 1} times, the last time to ${url.origin} (${name})`)
  // Who redirects may not choose as whom we sign in.
  url.username = ""
  url.password = ""
  url.hash = ""
  return { _tag: "Follow", url }
}
