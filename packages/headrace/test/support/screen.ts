/** A terminal's screen, as far as the progress display uses one: enough to see what a person would. */
export interface Screen {
  readonly isTTY: true
  columns: number
  write: (text: string) => boolean
  /** The rows, without trailing blanks. */
  readonly shown: () => ReadonlyArray<string>
  /** Everything that was written. */
  readonly raw: () => string
}

export const make = (columns: number): Screen => {
  let cells: Array<Array<string>> = [[]]
  let row = 0
  let column = 0
  let raw = ""
  const screen: Screen = {
    isTTY: true,
    columns,
    raw: () => raw,
    shown: () => cells.map((line) => line.join("").trimEnd()),
    write: (text) => {
      raw += text
      for (let i = 0; i < text.length; i++) {
        const character = text[i]!
        if (character === "\u001b") {
          const match = /^\[(\d*)([AJK])/.exec(text.slice(i + 1))
          if (match === null) throw new Error(`an escape that is not known: ${JSON.stringify(text.slice(i, i + 8))}`)
          i += match[0].length
          const line = (cells[row] ??= [])
          if (match[2] === "A") row = Math.max(0, row - Number(match[1] || "1"))
          if (match[2] === "K") line.length = Math.min(line.length, column)
          if (match[2] === "J") {
            line.length = Math.min(line.length, column)
            cells = cells.slice(0, row + 1)
          }
        } else if (character === "\r") column = 0
        else if (character === "\n") {
          row++
          column = 0
          cells[row] ??= []
        } else {
          if (column >= screen.columns) {
            row++
            column = 0
          }
          const line = (cells[row] ??= [])
          while (line.length < column) line.push(" ")
          line[column++] = character
        }
      }
      return true
    }
  }
  return screen
}
