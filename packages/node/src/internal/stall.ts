/**
 * Notices a connection on which nothing moves. Node's socket timeout knows how much of a running write is still queued:
 * when that has changed it keeps silent and waits once more. So a reader that trickles is one that moves, and a
 * timeout in each quarter of the time, four in a row, is a stall.
 */
import type { Socket } from "node:net"

const parts = 4

/** Calls back once when nothing has moved for `stallMs`; gives what ends the watch. */
export const watchStall = (socket: Socket, stallMs: number, onStall: () => void): (() => void) => {
  const part = Math.max(1, Math.ceil(stallMs / parts))
  let quiet = 0
  let before = ""
  let at = -Infinity
  const look = () => {
    const now = performance.now()
    const counters = `${socket.bytesRead} ${socket.bytesWritten} ${socket.writableLength}`
    // A part without its timeout is one in which some of a write was taken.
    quiet = counters === before && now - at < 1.5 * part + 10 ? quiet + 1 : 1
    before = counters
    at = now
    if (quiet === parts) {
      stop()
      onStall()
    } else socket.setTimeout(part)
  }
  const stop = () => {
    socket.off("timeout", look)
    if (!socket.destroyed) socket.setTimeout(0)
  }
  socket.on("timeout", look)
  socket.setTimeout(part)
  return stop
}
