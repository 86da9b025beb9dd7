/** Replaced by the real provider. @since 0.1.0 */
import type { HasherService } from "./Digest.ts"
export declare const make: () => HasherService
