/** The conformance kit, against a real Swift: one body, and segments with a manifest. */
import { randomUUID } from "node:crypto"
import * as NodeHost from "@headrace/node/NodeHost"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { account, none } from "./support/upload.ts"

const mib = 1024 * 1024

if (!none) {
  const swift = await account()
  const layer = Layer.merge(NodeTransport.layer, NodeHost.layer)

  for (const shape of ["whole", "parts"] as const) {
    const container = `kit-${randomUUID()}`
    await swift.send("PUT", `/${container}`)
    const place = (key: string) => `/${container}/${key.split("/").map(encodeURIComponent).join("/")}`

    Conformance.suite(`SwiftStore, a real Swift, ${shape}`, layer, {
      capabilities: {
        shape,
        needsSize: false,
        sharedMemory: true,
        ...(shape === "whole" ? { reports: ["md5"] } : { unfinished: { list: true, abort: true, resume: true } })
      },
      make: ({ address, key }) =>
        swift.store({
          container,
          object: key,
          through: { url: `http://${address!.host}:${address!.port}` },
          ...(shape === "whole" ? {} : { segmentSize: mib })
        }),
      truth: (key) =>
        Effect.promise(async () => {
          const answer = await swift.send("GET", place(key))
          const bytes = new Uint8Array(await answer.arrayBuffer())
          return answer.status === 200 ? bytes : undefined
        }),
      put: (key, bytes) => Effect.promise(() => swift.send("PUT", place(key), new Uint8Array(bytes))),
      // The segments of an object that is there are no leftovers.
      unfinished: (key) =>
        Effect.promise(async () => {
          if ((await swift.send("HEAD", place(key))).status === 200) return 0
          const segments = await swift.names(`${container}_segments`)
          return segments.filter((name) => name.startsWith(`${key}/`)).length
        }),
      service: { port: Number(new URL(swift.url).port) },
      keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this"],
      secrets: [swift.token],
      partBytes: mib,
      patienceMs: 20_000,
      except:
        shape === "whole"
          ? { "says what it can do": "what it does with larger objects is the other suite's" }
          : {
              "leaves nothing of transfers that are interrupted at random moments":
                "known: a segment that was sent whole, and not answered, may come into being after it was deleted"
            }
    })
  }
}
