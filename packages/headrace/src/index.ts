/**
 * Uploads that are proven, for programs that do not use Effect.
 *
 * @since 0.1.0
 */
export { HeadraceError } from "./HeadraceError.ts"
export type * from "./Types.ts"
export { type Bytes, type Input, upload, type Upload, type UploadOptions } from "./Upload.ts"
