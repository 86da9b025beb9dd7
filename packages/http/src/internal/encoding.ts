/**
 * Base64 and hex, with what every platform has.
 */

const toBinary = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

/** Text as the base64 of its UTF-8. */
export const base64OfText = (text: string): string => btoa(toBinary(new TextEncoder().encode(text)))

/** Base64 of what the hex says; `undefined` where it says nothing. */
export const base64OfHex = (hex: string): string | undefined => {
  if (!/^(?:[0-9a-f]{2})+$/i.test(hex)) return undefined
  return btoa(hex.replaceAll(/../g, (pair) => String.fromCharCode(Number.parseInt(pair, 16))))
}

/** Lower-case hex of what the base64 says; `undefined` where it says nothing. */
export const hexOfBase64 = (text: string): string | undefined => {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined
  try {
    return Array.from(atob(text), (char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("")
  } catch {
    return undefined
  }
}
