/**
 * How fast bytes may pass.
 *
 * @since 0.1.0
 */

/**
 * Bytes per second, more than 0; or no limit.
 *
 * @since 0.1.0
 * @category models
 */
export type Rate = number | "off"

/**
 * Whether a number can be a rate.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRate = (rate: Rate): boolean => rate === "off" || (rate > 0 && Number.isFinite(rate))
