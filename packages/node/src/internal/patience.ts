/**
 * A server that refuses a body in its middle answers and closes, while this side is still writing: the next write fails
 * and Node destroys the socket, with the answer unread in the kernel (measured on loopback: lost in 20 to 85 of 100
 * tries). So the failure of a write is kept back until what can be read has been read: the end of what the server
 * sent, or its reset, comes right behind the answer.
 */
import type { Socket } from "node:net"

/** Only a safety net: after a failed write the reading side comes to its end at once. */
const patienceMs = 250

type Callback = (error?: Error | null) => void

const patiently =
  (socket: Socket, callback: Callback): Callback =>
  (error) => {
    if (error === undefined || error === null || socket.destroyed) return callback(error)
    let told = false
    const tell = () => {
      if (told) return
      told = true
      clearTimeout(timer)
      callback(error)
    }
    // An immediate behind the timer: a loop that was busy all the time gets one turn of reading.
    const timer = setTimeout(() => setImmediate(tell), patienceMs)
    socket.once("close", tell)
  }

/** Makes the socket's writes fail late. */
export const writePatiently = <S extends Socket>(socket: S): S => {
  const { _write, _writev } = socket
  socket._write = (chunk, encoding, callback) => _write.call(socket, chunk, encoding, patiently(socket, callback))
  if (_writev !== undefined) {
    socket._writev = (chunks, callback) => _writev.call(socket, chunks, patiently(socket, callback))
  }
  return socket
}
