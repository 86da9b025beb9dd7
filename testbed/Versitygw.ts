/**
 * A real S3 service, versitygw over a folder: it checks what a client can get wrong, signatures and checksums of whole
 * objects among them. Built by Go, once, into the same cache folder as the other services.
 */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { cacheFolder } from "./Installation.ts"
import { type Service, start } from "./Service.ts"

const run = promisify(execFile)

const version = "v1.8.0"
const module = `github.com/versity/versitygw/cmd/versitygw@${version}`

/** The machine has no Go that will do, or what it needs cannot be fetched. */
export class NoGoError extends Error {
  override readonly name = "NoGoError"
}

const findGo = async (): Promise<string> => {
  const go = process.env["HEADRACE_GO"] ?? "go"
  await run(go, ["version"]).catch(() => {
    throw new NoGoError(`there is no Go (looked for ${go})`)
  })
  return go
}

/**
 * The program, built unless it is there. Two that build at once build twice, and the second takes the first one's place:
 * nobody ever sees half of a program.
 */
const build = async (): Promise<string> => {
  const folder = join(cacheFolder(), `versitygw-${version}-${process.platform}-${process.arch}`)
  const program = join(folder, "versitygw")
  if (existsSync(program)) return program
  const go = await findGo()
  process.stderr.write(`testbed: building versitygw ${version} into ${folder}; that takes a minute or two\n`)
  await mkdir(folder, { recursive: true })
  const building = await mkdtemp(join(folder, "building-"))
  try {
    // it wants Go 1.26, which an older one fetches when it is allowed to
    const env = { ...process.env, GOTOOLCHAIN: process.env["GOTOOLCHAIN"] ?? "auto", GOBIN: building }
    await run(go, ["install", module], { cwd: building, env, maxBuffer: 1 << 24 }).catch(
      (error: { stderr?: string }) => {
        throw new NoGoError(`Go could not build it: ${error.stderr?.trim().split("\n").at(-1) ?? String(error)}`)
      }
    )
    await rename(join(building, "versitygw"), program)
  } finally {
    await rm(building, { recursive: true, force: true })
  }
  return program
}

let built: Promise<string> | undefined

/** Builds versitygw unless it is there; throws `NoGoError` where that cannot be done. */
export const installVersitygw = (): Promise<string> => {
  built ??= build()
  return built
}

/** A running versitygw; `url` is its endpoint. */
export interface Versitygw extends Service {
  readonly accessKey: string
  readonly secretKey: string
  /** A bucket that is there. A folder in `dataDirectory` is one more. */
  readonly bucket: string
  readonly dataDirectory: string
}

/** No bucket can be called so. */
const health = "/Health"

const keys = { accessKey: "testbed", secretKey: "testbed-secret-0123456789", bucket: "bucket" }

/** Starts a versitygw. `versions`: buckets can be told to keep versions of their objects. */
export const startVersitygw = async (options: { readonly versions?: boolean } = {}): Promise<Versitygw> => {
  const program = await installVersitygw()
  const service = await start({
    name: "versitygw",
    health,
    prepare: async (directory, port) => {
      await mkdir(join(directory, "data", keys.bucket), { recursive: true })
      await mkdir(join(directory, "versions"))
      return {
        command: [
          program,
          "--port",
          `127.0.0.1:${port}`,
          "--quiet",
          "--keep-alive",
          "--health",
          health,
          "posix",
          ...(options.versions === true ? ["--versioning-dir", join(directory, "versions")] : []),
          join(directory, "data")
        ],
        env: { ROOT_ACCESS_KEY: keys.accessKey, ROOT_SECRET_KEY: keys.secretKey }
      }
    }
  })
  return { ...service, ...keys, dataDirectory: join(service.directory, "data") }
}
