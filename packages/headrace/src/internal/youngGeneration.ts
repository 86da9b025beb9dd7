/**
 * Bounds the memory that short-lived objects take. A thousand small transfers a second leave much garbage behind, and V8
 * lets its young generation grow with it: a process that holds 30 MiB takes 300. Its size can only be chosen when a
 * process starts, but whether it grows is asked each time.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"

const enough = 6 * 1024 * 1024
const lookEveryMs = 50

const size = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")?.space_size ?? 0

/** Lets it grow no further than is of use. */
export const bound = (): void => {
  const look = setInterval(() => {
    if (size() < enough) return
    clearInterval(look)
    setFlagsFromString("--semi-space-growth-factor=1")
  }, lookEveryMs)
  look.unref()
}
