/**
 * Whom a TLS connection trusts and who it says it is. Contexts are made once for each set of certificates: reading an
 * authority file of some hundred certificates takes longer than a request. Loaded with the first `https:` URL.
 */
import { X509Certificate } from "node:crypto"
import { createSecureContext, type SecureContext } from "node:tls"
import type { Tls } from "@headrace/core/Transport"

export interface Trust {
  /** Two requests with the same trust may share a connection. */
  readonly key: string
  readonly verify: boolean
  readonly context: SecureContext
}

/** Certificates that cannot be read. */
export interface BadTrust {
  readonly message: string
  readonly cause: unknown
}

export class Trusts {
  readonly #byOptions = new WeakMap<Tls, Trust>()
  readonly #byText = new Map<string, Trust>()

  of(options: Tls): Trust | BadTrust {
    const known = this.#byOptions.get(options)
    if (known !== undefined) return known
    const text = JSON.stringify([options.verify, options.ca, options.cert, options.key])
    let trust = this.#byText.get(text)
    if (trust === undefined) {
      const { ca, cert, key, verify } = options
      try {
        // Node takes a text without any certificate for an empty list of authorities; this refuses it.
        if (ca !== undefined && new X509Certificate(ca).raw.byteLength === 0) throw new Error("an empty certificate")
        const context = createSecureContext({
          ...(ca === undefined ? undefined : { ca }),
          ...(cert === undefined ? undefined : { cert }),
          ...(key === undefined ? undefined : { key })
        })
        trust = { key: String(this.#byText.size), verify, context }
      } catch (cause) {
        const which =
          cert === undefined && key === undefined ? "certificate of the authority" : "certificates or the key"
        return { message: `the ${which} cannot be read (PEM is expected)`, cause }
      }
      this.#byText.set(text, trust)
    }
    this.#byOptions.set(options, trust)
    return trust
  }
}
