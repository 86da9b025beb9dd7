/**
 * Which share of the objects is read back, as typed.
 *
 * @since 0.1.0
 */

/**
 * From `1%` to `100%`; a text says what is allowed.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (given: string): number | string => {
  const percent = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(given)?.[1]
  const share = percent === undefined ? 0 : Number(percent) / 100
  return share > 0 && share <= 1
    ? share
    : `${JSON.stringify(given)} is no share: more than 0% and up to 100%, such as 1%`
}
