/**
 * Why a digest could not be computed.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"

/**
 * A digest could not be computed: the worker died, the state is not one of this provider's.
 *
 * @since 0.1.0
 * @category errors
 */
export class DigestError extends Data.TaggedError("DigestError")<{
  readonly message: string
  readonly cause?: unknown
}> {}
