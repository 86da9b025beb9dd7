/**
 * Who is asking. A token is looked at once, when the head of a request is there, and never again: an upload outlives
 * its token. Roles imply each other as in Keystone: admin, member, reader.
 */
import { HttpFailure } from "./errorPage.ts"

/**
 * What a token stands for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Identity {
  readonly userId: string
  readonly projectId: string | null
  readonly roles: ReadonlyArray<string>
}

/**
 * Looks at tokens. `undefined` is a token that nobody vouches for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Authenticator {
  readonly validate: (token: string) => Identity | undefined | Promise<Identity | undefined>
  /** Named in the `WWW-Authenticate` header of a 401. */
  readonly authUri?: string
}

export interface Context {
  readonly userId: string | null
  readonly projectId: string | null
  readonly roles: ReadonlySet<string>
  readonly isAdmin: boolean
  readonly readOnly: boolean
}

/** Without authentication every caller is an administrator without a project. */
const unauthenticated: Context = { userId: null, projectId: null, roles: new Set(), isAdmin: true, readOnly: false }

const anonymous: Context = { userId: null, projectId: null, roles: new Set(), isAdmin: false, readOnly: true }

const contextOf = (identity: Identity): Context => {
  const roles = new Set(identity.roles.map((role) => role.toLowerCase()))
  if (roles.has("admin")) roles.add("manager").add("member")
  if (roles.has("member")) roles.add("reader")
  return {
    userId: identity.userId,
    projectId: identity.projectId,
    roles,
    isAdmin: roles.has("admin"),
    readOnly: false
  }
}

/** Tokens that say themselves what they stand for: `USER:PROJECT:ROLE[,ROLE…]`. */
export const fakeTokens: Authenticator = {
  validate: (token) => {
    const [userId, projectId, roles, ...rest] = token.split(":")
    if (!userId || !projectId || !roles || rest.length > 0) return undefined
    return { userId, projectId, roles: roles.split(",") }
  }
}

/** The caller, or a failure with status 401. */
export const authenticate = async (
  authenticator: Authenticator | undefined,
  token: string | undefined,
  allowAnonymous: boolean
): Promise<Context> => {
  if (authenticator === undefined) return unauthenticated
  const identity = token === undefined || token === "" ? undefined : await authenticator.validate(token)
  if (identity !== undefined) return contextOf(identity)
  if (allowAnonymous) return anonymous
  throw new HttpFailure(401, undefined, {
    headers:
      authenticator.authUri === undefined ? [] : [["WWW-Authenticate", `Keystone uri="${authenticator.authUri}"`]]
  })
}
