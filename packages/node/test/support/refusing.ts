/**
 * A server in a thread of its own that answers in the middle of a body and then misbehaves: run as a worker, so that it
 * does so while the client writes. It posts its port.
 */
import * as net from "node:net"
import { parentPort, workerData } from "node:worker_threads"

export interface Refusal {
  /** What it does after the answer. */
  readonly then: "close" | "reset" | "drain" | "stop"
  /** Bytes of the body that it takes before it answers; it sends 100 Continue first. */
  readonly after: number
  readonly answer: string
}

if (parentPort !== null) {
  const { after, answer, then } = workerData as Refusal
  const server = net.createServer((socket) => {
    let taken: number | undefined
    let answered = false
    socket.on("error", () => {})
    socket.on("data", (chunk) => {
      if (taken === undefined) {
        taken = 0
        socket.write("HTTP/1.1 100 Continue\r\n\r\n")
        return
      }
      taken += chunk.byteLength
      if (answered || taken < after) return
      answered = true
      socket.pause()
      socket.write(answer, () => {
        if (then === "close") socket.destroy()
        else if (then === "reset") socket.resetAndDestroy()
        // Not at once: who writes as fast as this thread takes would be done before its own loop has turned.
        else if (then === "drain") setTimeout(() => socket.resume(), 50)
      })
    })
  })
  server.listen(0, "127.0.0.1", () => parentPort!.postMessage((server.address() as net.AddressInfo).port, []))
}
