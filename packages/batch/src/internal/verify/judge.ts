/**
 * Holds what was found against what the receipt says.
 */
import type { Verification } from "../../Verify.ts"
import type { Claim } from "./claim.ts"
import type { Found, How, There } from "./found.ts"

export type Verdict = Pick<Verification, "status" | "how" | "compared" | "message" | "object">

const byHow: Readonly<Record<How, string>> = {
  list: "by the service's list",
  head: "by what was asked of it alone",
  read: "by reading it back"
}

const kindOf = (uri: string): string =>
  /^glance:/i.test(uri) ? "image" : /^(?:file:|(?![a-z][a-z0-9+.-]*:\/\/))/i.test(uri) ? "file" : "object"

const named = ({ object, uri }: Claim): string =>
  kindOf(uri) === "image" && object !== undefined ? `image ${object}` : kindOf(uri)

/** Of images whose data is gone for good. */
const gone: ReadonlySet<string> = new Set(["deleted", "pending_delete"])

const objectOf = (claim: Claim, { digests, size, status, stores }: There): NonNullable<Verification["object"]> => {
  const store = claim.store !== undefined && stores?.includes(claim.store) === true ? claim.store : stores?.[0]
  return {
    id: claim.object ?? claim.uri,
    ...(store === undefined ? undefined : { store }),
    size: size ?? null,
    digests,
    ...(status === undefined ? undefined : { status })
  }
}

const misplaced = ({ store }: Claim, { stores }: There): string | undefined =>
  store === undefined || stores === undefined || stores.length === 0 || stores.includes(store)
    ? undefined
    : `it is in ${stores.join(", ")}, and no more in ${store}`

const list = (words: ReadonlyArray<string>): string => words.join(" and ").replace(/ and (?=.* and )/g, ", ")

/** What is wrong with what is there, if anything. */
const difference = (claim: Claim, there: There): string | undefined => {
  const { digests, size, status, wrong } = there
  if (wrong !== undefined) return wrong
  if (status !== undefined && status !== "active") return `${named(claim)} is ${status}`
  if (claim.size !== undefined && size !== undefined && claim.size !== size) {
    return `it has ${size} bytes, and had ${claim.size}`
  }
  for (const [name, ours] of Object.entries(claim.digests)) {
    const theirs = digests[name]
    if (theirs !== undefined && theirs !== ours) return `its ${name} is ${theirs}, and was ${ours}`
  }
  return misplaced(claim, there)
}

const comparedOf = (claim: Claim, { digests, size }: There): ReadonlyArray<string> => [
  ...(claim.size !== undefined && size !== undefined ? ["size"] : []),
  ...Object.keys(claim.digests).filter((name) => digests[name] !== undefined)
]

const sameWords = (compared: ReadonlyArray<string>, { how, mute }: There): string => {
  if (compared.some((name) => name !== "size")) {
    return `the same ${list(compared)}, ${byHow[how]}`
  }
  const why = mute ?? "there is no digest that both have"
  return `only the size could be compared, ${byHow[how]}: ${why}`
}

export const judge = (claim: Claim, found: Found): Verdict => {
  const { how } = found
  switch (found._tag) {
    case "Absent":
      return { status: "missing", how, compared: [], message: found.why ?? `the ${named(claim)} is not there` }
    case "Unasked":
      return { status: "unknown", how, compared: [], message: found.why }
    case "There": {
      const object = objectOf(claim, found)
      if (found.status !== undefined && gone.has(found.status)) {
        return { status: "missing", how, compared: [], message: `${named(claim)} is ${found.status}`, object }
      }
      const compared = comparedOf(claim, found)
      const differs = difference(claim, found)
      if (differs !== undefined) return { status: "differs", how, compared, message: differs, object }
      return compared.length === 0
        ? {
            status: "unknown",
            how,
            compared,
            message: "neither a size nor a digest is told that could be compared",
            object
          }
        : { status: "same", how, compared, message: sameWords(compared, found), object }
    }
  }
}
