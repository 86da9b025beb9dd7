/**
 * Text as HTML shows it. What others have named is shown as it is, whatever it holds: it cannot become markup, and
 * characters that nobody would see, or that turn what comes after them around, are written out.
 */

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const code = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Text, also between the quotes of an attribute. */
export const text = (given: string): string =>
  given
    .replace(/\s*[\r\n]+\s*/g, " ")
    .replace(/[\p{Cc}\p{Bidi_Control}\p{Surrogate}\u2028\u2029\u200b\ufeff]/gu, code)
    .replace(/[&<>"']/g, (character) => entities[character]!)

/** A name, which keeps its own direction. A long one may be broken at its slashes. */
export const name = (given: string): string => `<bdi>${text(given).replace(/\/+(?=[^/])/g, "$&<wbr>")}</bdi>`

/** A count with separators: `1,073,741,824`. */
export const count = (value: number): string => value.toString().replace(/\B(?=(\d{3})+$)/g, ",")

export const plural = (value: number, one: string, many: string): string =>
  `${count(value)} ${value === 1 ? one : many}`

export interface Column {
  readonly head: string
  /** Numbers stand at the right. */
  readonly number?: boolean
  readonly wide?: boolean
}

const cellClass = ({ number, wide }: Column): string =>
  number === true ? ' class="n"' : wide === true ? ' class="w"' : ""

/** A table; its cells are HTML, and the first of each row names the row. */
export function* table(
  options: { readonly caption: string; readonly columns: ReadonlyArray<Column>; readonly className?: string },
  rows: Iterable<ReadonlyArray<string>>
): Generator<string> {
  const { caption, className, columns } = options
  const kind = className === undefined ? "" : ` class="${className}"`
  yield `<div class="scroll" role="region" tabindex="0" aria-label="${text(caption)}"><table${kind}>`
  yield `<caption class="unseen">${text(caption)}</caption><thead><tr>`
  for (const column of columns) yield `<th scope="col"${cellClass(column)}>${text(column.head)}</th>`
  yield "</tr></thead><tbody>\n"
  for (const cells of rows) {
    yield "<tr>"
    for (const [index, cell] of cells.entries()) {
      const column = columns[index]!
      yield index === 0 ? `<th scope="row"${cellClass(column)}>${cell}</th>` : `<td${cellClass(column)}>${cell}</td>`
    }
    yield "</tr>\n"
  }
  yield "</tbody></table></div>\n"
}

/** Rows that a part of a list has. */
const partRows = 100

/**
 * A table that may have thousands of rows, whose columns do not depend on what is in them: it comes in parts, of which a
 * browser lays out only those that are looked at.
 */
export function* list(
  options: { readonly caption: string; readonly columns: ReadonlyArray<Column> },
  rows: ReadonlyArray<() => ReadonlyArray<string>>
): Generator<string> {
  for (let from = 0; from < rows.length; from += partRows) {
    const part = rows.slice(from, from + partRows)
    const caption =
      rows.length <= partRows
        ? options.caption
        : `${options.caption}, ${count(from + 1)} to ${count(from + part.length)} of ${count(rows.length)}`
    yield `<div class="part" style="--rows:${part.length}">`
    yield* table(
      { columns: options.columns, caption, className: from === 0 ? "list" : "list more" },
      (function* () {
        for (const cells of part) yield cells()
      })()
    )
    yield "</div>"
  }
}

/** A bar in a cell: `share` of its width, from 0 to 1. It stands beside its number, which says the same. */
export const bar = (share: number, kind = "main"): string =>
  `<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="${kind}" width="${round(Math.max(0.6, 100 * share))}" height="10"/></svg>`

/** A place in a plot, short. */
export const round = (value: number): string => String(Math.round(value * 100) / 100)
