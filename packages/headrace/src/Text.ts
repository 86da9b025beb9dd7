/**
 * Lines of text for terminals: safe to show, measured and cut in cells.
 *
 * @since 0.1.0
 */

/**
 * A count with separators: `1,073,741,824`.
 *
 * @since 0.1.0
 * @category formatting
 */
export const count = (value: number): string => value.toString().replace(/\B(?=(\d{3})+$)/g, ",")

/**
 * Text that is safe to show on a terminal and stays one line: control and direction-changing characters become visible
 * escapes, line ends a space.
 *
 * @since 0.1.0
 * @category formatting
 */
export const oneLine = (text: string): string =>
  text
    .replace(/\s*[\r\n]+\s*/g, " ")
    .replace(
      /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
    )

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3040-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const thin = /[\p{Mark}\p{Default_Ignorable_Code_Point}]/u

const cells = (character: string): number => (thin.test(character) ? 0 : wide.test(character) ? 2 : 1)

/**
 * How many cells of a terminal a line takes.
 *
 * @since 0.1.0
 * @category formatting
 */
export const width = (line: string): number => {
  let total = 0
  for (const character of line) total += cells(character)
  return total
}

/**
 * The line cut to so many cells; what is cut off ends in `…`.
 *
 * @since 0.1.0
 * @category formatting
 */
export const fit = (line: string, columns: number): string => {
  if (width(line) <= columns) return line
  let out = ""
  let used = 0
  for (const character of line) {
    used += cells(character)
    if (used > columns - 1) break
    out += character
  }
  return columns < 1 ? "" : `${out}…`
}
