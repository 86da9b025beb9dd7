/**
 * Who may do what to which image, by Glance's default policies. An image that the caller may not see answers 404
 * whatever was asked of it; one that the caller sees but may not touch answers 403.
 */
import { HttpFailure } from "./errorPage.ts"
import type { Context } from "./identity.ts"
import type { Image, Visibility } from "./image.ts"

export type Action =
  | "add_image"
  | "get_image"
  | "modify_image"
  | "delete_image"
  | "upload_image"
  | "download_image"
  | "deactivate"
  | "reactivate"
  | "copy_image"
  | "delete_image_location"
  | "publicize_image"
  | "communitize_image"
  | "stores_info_detail"

const forbidden = (action: Action): HttpFailure =>
  new HttpFailure(403, `You are not authorized to complete ${action} action.`)

const owns = (context: Context, image: Image): boolean =>
  image.owner !== null && context.projectId !== null && image.owner === context.projectId

/** Whether the record is found at all by this caller. */
export const isVisible = (context: Context, image: Image): boolean =>
  context.isAdmin ||
  image.owner === null ||
  image.visibility === "public" ||
  image.visibility === "community" ||
  owns(context, image)

/** Some things are for the role alone, which nobody has where nobody is asked who he is. */
const isAdmin = (context: Context, action: Action): boolean =>
  context.roles.has("admin") || (context.isAdmin && !roleOnly.has(action))

const roleOnly: ReadonlySet<Action> = new Set(["copy_image", "publicize_image", "stores_info_detail"])

const mayGet = (context: Context, image: Image): boolean =>
  context.isAdmin || context.readOnly || (context.roles.has("reader") && isVisible(context, image))

const may = (context: Context, action: Action, image: Image): boolean => {
  if (isAdmin(context, action)) return true
  switch (action) {
    case "get_image":
      return mayGet(context, image)
    case "download_image":
      return context.roles.has("member") && isVisible(context, image)
    case "copy_image":
    case "delete_image_location":
    case "publicize_image":
    case "stores_info_detail":
      return false
    default:
      return context.roles.has("member") && owns(context, image)
  }
}

/** Throws 403 or 404 where the caller may not. */
export const enforce = (context: Context, action: Action, image: Image): void => {
  if (may(context, action, image)) return
  if (action === "get_image" || !mayGet(context, image)) throw new HttpFailure(404)
  throw forbidden(action)
}

export const enforceCreate = (context: Context, owner: string | null, visibility: Visibility): void => {
  if (visibility === "public" && context.isAdmin && !isAdmin(context, "publicize_image")) {
    throw forbidden("publicize_image")
  }
  if (context.isAdmin) return
  if (owner !== context.projectId) {
    throw new HttpFailure(403, undefined, { detail: `You are not permitted to create images owned by '${owner}'` })
  }
  if (!context.roles.has("member")) throw forbidden("add_image")
  if (visibility === "public") throw forbidden("publicize_image")
}

export const enforceVisibility = (context: Context, visibility: Visibility): void => {
  if (visibility === "public" && !isAdmin(context, "publicize_image")) throw forbidden("publicize_image")
  if (context.isAdmin) return
  if (visibility === "community" && !context.roles.has("member")) throw forbidden("communitize_image")
}

export const enforceStoresDetail = (context: Context): void => {
  if (!isAdmin(context, "stores_info_detail") && !context.roles.has("service")) throw forbidden("stores_info_detail")
}

/** Refuses changes to those who came without a token. */
export const enforceMutating = (context: Context): void => {
  if (context.readOnly) throw new HttpFailure(403, undefined, { detail: "Read-only access" })
}
