/**
 * Of Node's timers the longest, in ms. One that is said to be longer ends at once.
 */
export const longestMs = 2 ** 31 - 1
