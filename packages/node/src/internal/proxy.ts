/**
 * Which proxy the environment names for a URL, by the rules that curl follows: the lower-case variable goes before the
 * upper-case one, `NO_PROXY` is a list of hosts whose subdomains count too, and nothing is left out by itself.
 */
import { BlockList, isIP } from "node:net"

type Environment = Readonly<Record<string, string | undefined>>

export interface Proxy {
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** The value of `Proxy-Authorization`. */
  readonly authorization: string | undefined
}

/** A variable that cannot be used; `message` holds no secret. */
export interface BadProxy {
  readonly message: string
}

/** A host as the operating system takes it: IPv6 addresses without their brackets. */
export const bareHost = (hostname: string): string => hostname.replace(/^\[|\]$/g, "")

export const portOf = (url: URL): number =>
  url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)

const variable = (env: Environment, name: string): string | undefined =>
  env[name] || env[name.toUpperCase()] || undefined

const inNetwork = (host: string, network: string): boolean => {
  const [address = "", bits = ""] = network.split("/")
  const family = isIP(host)
  if (family === 0 || isIP(bareHost(address)) !== family || !/^\d{1,3}$/.test(bits)) return false
  if (Number(bits) > (family === 4 ? 32 : 128)) return false
  const type = family === 4 ? "ipv4" : "ipv6"
  const list = new BlockList()
  list.addSubnet(bareHost(address), Number(bits), type)
  return list.check(host, type)
}

const sameAddress = (a: string, b: string): boolean =>
  isIP(a) !== 0 && isIP(a) === isIP(b) && inNetwork(a, `${b}/${isIP(a) === 4 ? 32 : 128}`)

/** Whether a word of the list means this host. */
const excludes = (word: string, host: string, port: number): boolean => {
  if (word.includes("/")) return inNetwork(host, word)
  const withPort = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(word)
  if (withPort !== null && Number(withPort[2]) !== port) return false
  const name = bareHost(withPort?.[1] ?? word).replace(/\.$/, "")
  if (isIP(host) !== 0) return sameAddress(host, name)
  const domain = name.replace(/^\*?\./, "").toLowerCase()
  return domain !== "" && (host === domain || host.endsWith(`.${domain}`))
}

const isExcluded = (list: string | undefined, url: URL): boolean => {
  if (list === undefined) return false
  const host = bareHost(url.hostname).replace(/\.$/, "").toLowerCase()
  const words = list.split(/[\s,]+/).filter((word) => word !== "")
  return words.some((word) => word === "*" || excludes(word, host, portOf(url)))
}

/** The variables that count. Those of the process take long to be looked up, each time anew. */
export const proxies = (env: Environment): Environment =>
  Object.fromEntries(
    ["http_proxy", "https_proxy", "all_proxy", "no_proxy"].map((name) => [name, variable(env, name)] as const)
  )

/** The proxy for a URL; `undefined` when it is reached directly. */
export const proxyFor = (env: Environment, url: URL): Proxy | BadProxy | undefined => {
  const name = url.protocol === "https:" ? "https_proxy" : "http_proxy"
  const used = variable(env, name) === undefined ? "all_proxy" : name
  const text = variable(env, used)
  if (text === undefined || isExcluded(variable(env, "no_proxy"), url)) return undefined
  const shown = used.toUpperCase()
  const address = text.includes("://") ? text : `http://${text}`
  if (!URL.canParse(address)) return { message: `${shown} is not a URL` }
  const parsed = new URL(address)
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    return { message: `${shown}: proxies of the kind '${parsed.protocol}//' are not supported (allowed: http, https)` }
  }
  const user = `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`
  return {
    secure: parsed.protocol === "https:",
    host: bareHost(parsed.hostname),
    // 1080 is what curl takes for a proxy without a port.
    port: parsed.port !== "" ? Number(parsed.port) : /:\d+\/?$/.test(address) ? portOf(parsed) : 1080,
    authorization: user === ":" ? undefined : `Basic ${Buffer.from(user).toString("base64")}`
  }
}
