// A file to S3 by @aws-sdk/lib-storage with its defaults: node lib-storage.mjs MODULES ENDPOINT BUCKET KEY FILE
import { createReadStream } from "node:fs"
import { createRequire } from "node:module"

const [modules, endpoint, Bucket, Key, file] = process.argv.slice(2)
const bring = createRequire(`${modules}/`)
const { S3Client } = bring("@aws-sdk/client-s3")
const { Upload } = bring("@aws-sdk/lib-storage")
const credentials = { accessKeyId: "k", secretAccessKey: "s" }
const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials })
await new Upload({ client, params: { Bucket, Key, Body: createReadStream(file) } }).done()
