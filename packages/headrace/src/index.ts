/**
 * Uploads that are proven, for programs that do not use Effect.
 *
 * @since 0.1.0
 */
export type * from "./BatchTypes.ts"
export { HeadraceError } from "./HeadraceError.ts"
export type * from "./Types.ts"
export { type ManifestInput, type MappingRules, run, type Run, type RunOptions, type RunResult } from "./Run.ts"
export { type Bytes, type Input, upload, type Upload, type UploadOptions } from "./Upload.ts"
