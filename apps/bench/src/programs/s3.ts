/**
 * A program of its own process: a file to S3, verified as far as the service can be; or, with a count, many copies of it,
 * eight at once, each to a key that no run before it had.
 *
 *   node s3.js ENDPOINT FILE [COUNT]
 */
import * as Transfer from "@headrace/core/Transfer"
import * as FileSource from "@headrace/node/FileSource"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as S3Store from "@headrace/s3/S3Store"
import * as Effect from "effect/Effect"

const [endpoint = "", file = "", count] = process.argv.slice(2)
const credentials = { accessKeyId: "k", secretAccessKey: "s" }

const upload = (key: string) =>
  Effect.map(
    Transfer.run({
      source: FileSource.make(file),
      to: [S3Store.object({ endpoint, region: "us-east-1", bucket: "bench", key, credentials, vendor: "aws" })]
    }),
    ({ destinations }) => {
      if (destinations[0]?.status !== "verified") throw new Error(JSON.stringify(destinations))
    }
  )

const keys =
  count === undefined ? ["disk"] : Array.from({ length: Number(count) }, (_, index) => `${process.pid}/${index}`)
const program = Effect.forEach(keys, upload, { concurrency: 8, discard: true })
void Effect.runPromise(Effect.provide(program, NodeHeadrace.layer))
