/**
 * Connections: kept and reused for control calls, fresh ones for bodies; with the trust that is asked for, and by way
 * of the proxy that the environment names.
 */
import * as http from "node:http"
import * as https from "node:https"
import type { Tls } from "@headrace/core/Transport"

/** The usual variables, in lower case first as curl has it. */
export interface ProxyVariables {
  readonly [variable: string]: string
}

export const proxyVariables = (env: Readonly<Record<string, string | undefined>>): ProxyVariables | undefined => {
  const pick = (name: string) => env[name] || env[name.toUpperCase()] || undefined
  const all = pick("all_proxy")
  const plain = pick("http_proxy") ?? all
  const secure = pick("https_proxy") ?? all
  const none = pick("no_proxy")
  if (plain === undefined && secure === undefined) return undefined
  return {
    ...(plain === undefined ? undefined : { http_proxy: plain }),
    ...(secure === undefined ? undefined : { https_proxy: secure }),
    ...(none === undefined ? undefined : { no_proxy: none })
  }
}

/** Node's agents know proxies since 22.21 and 24.5. */
export const knowsProxies = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)
}

const options = (tls: Tls | undefined, proxy: ProxyVariables | undefined, keepAlive: boolean): https.AgentOptions => ({
  keepAlive,
  ...(keepAlive ? { maxFreeSockets: 8, timeout: 60_000 } : undefined),
  ...(proxy === undefined ? undefined : { proxyEnv: proxy }),
  ...(tls === undefined
    ? undefined
    : {
        rejectUnauthorized: tls.verify,
        ...(tls.ca === undefined ? undefined : { ca: tls.ca }),
        ...(tls.cert === undefined ? undefined : { cert: tls.cert }),
        ...(tls.key === undefined ? undefined : { key: tls.key })
      })
})

/** The agents of one transport. */
export class Agents {
  readonly #kept = new Map<string, http.Agent>()
  readonly #proxy: ProxyVariables | undefined

  constructor(proxy: ProxyVariables | undefined) {
    this.#proxy = proxy
  }

  #make(url: URL, tls: Tls | undefined, keepAlive: boolean): http.Agent {
    const made = options(tls, this.#proxy, keepAlive)
    return url.protocol === "https:" ? new https.Agent(made) : new http.Agent(made)
  }

  /** An agent whose connections are used again. */
  kept(url: URL, tls: Tls | undefined): http.Agent {
    const key = JSON.stringify([url.protocol, url.protocol === "https:" ? tls : undefined])
    const found = this.#kept.get(key)
    if (found !== undefined) return found
    const agent = this.#make(url, tls, true)
    this.#kept.set(key, agent)
    return agent
  }

  /** An agent for one connection. */
  fresh(url: URL, tls: Tls | undefined): http.Agent {
    return this.#make(url, tls, false)
  }

  close(): void {
    for (const agent of this.#kept.values()) agent.destroy()
    this.#kept.clear()
  }
}
