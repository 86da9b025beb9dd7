import { existsSync, readdirSync, readFileSync } from "node:fs"
import { mkdir, readdir } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open } from "./support/command.ts"

describe("what unfinished uploads left", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open()
  })
  afterAll(() => bench.close())

  const make = async (name: string, more?: object): Promise<string> => {
    const body = JSON.stringify({ name, disk_format: "raw", container_format: "bare", ...more })
    const headers = { "content-type": "application/json" }
    const answer = await fetch(`${bench.glance.url}/v2/images`, { method: "POST", headers, body })
    return ((await answer.json()) as { readonly id: string }).id
  }
  const there = (id: string) => bench.glance.images.get(id)?.status

  it("is nothing where nothing was left", async () => {
    expect(await bench.run(["gc", "glance://emb"])).toMatchObject({ code: 0, stderr: "", stdout: "nothing was left\n" })
  })

  it("is listed, of all images or of one, and nothing of it deleted", async () => {
    const [one, other] = [await make("one"), await make("other")]
    const all = await bench.run(["gc", "glance://emb"])
    expect(all).toMatchObject({ code: 0, stderr: "" })
    expect(all.stdout).toMatch(
      new RegExp(`^glance://emb/one: upload ${one}: begun .*Z, .* ago, the store lists it$`, "m")
    )
    expect(all.stdout).toMatch(/^2 unfinished uploads; nothing was deleted: --delete does that$/m)
    const named = await bench.run(["gc", "glance://emb/other", "--json"])
    expect(
      named.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown)
    ).toEqual([
      {
        type: "leftover",
        at: expect.any(String) as unknown,
        uri: expect.stringContaining("glance://emb/") as unknown,
        token: other,
        startedAt: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
        bytes: null,
        known: "listed",
        running: false,
        action: "listed"
      }
    ])
    expect([there(one), there(other)]).toEqual(["queued", "queued"])
  })

  it("that is young is kept, as it may be somebody else's, unless it is said how old it must be", async () => {
    const id = await make("young")
    const kept = await bench.run(["gc", "glance://emb/young", "--delete"])
    expect(kept).toMatchObject({ code: 0, stderr: "" })
    expect(kept.stdout).toMatch(
      /^kept .*\n {2}somebody else may be writing it; --older-than 0s deletes it too\n.*: 0 deleted, 1 kept\n$/
    )
    expect(there(id)).toBe("queued")
    const younger = await bench.run(["gc", "glance://emb/young", "--delete", "--older-than", "1h"])
    expect(younger.stdout).toBe("nothing was left; 1 younger than that\n")
    const deleted = await bench.run(["gc", "glance://emb/young", "--delete", "--older-than", "0s"])
    expect(deleted).toMatchObject({ code: 0, stderr: "" })
    expect(deleted.stdout).toMatch(/^deleted .*\n1 unfinished upload: 1 deleted\n$/)
    expect(there(id) ?? "deleted").toBe("deleted")
  })

  it("and cannot be deleted is said: exit code 2", async () => {
    const id = await make("stuck", { protected: true })
    const ended = await bench.run(["gc", "glance://emb/stuck", "--delete", "--older-than", "0s"])
    expect(ended.code).toBe(2)
    expect(ended.stderr).toMatch(
      new RegExp(`^headrace: glance://emb/\\S+: upload ${id} cannot be given up: .*protected.*\n$`)
    )
    expect(ended.stdout).toMatch(/: 0 deleted, 1 could not be deleted\n$/)
    expect(there(id)).toBe("queued")
  })

  it("of a file that was killed is listed by its folder, gone on with, and deleted when told", async () => {
    await bench.file("large.raw", 100 * 1024 * 1024)
    await mkdir(join(bench.folder, "to"))
    const cutOff = () =>
      bench.run(["upload", "large.raw", "--to", "to/large.raw", "--limit", "60MiB/s", "--json"], {
        during: (child) => {
          const notes = join(bench.folder, ".local/state/headrace/uploads")
          const look = setInterval(() => {
            const noted = existsSync(notes)
              ? readdirSync(notes).map((name) => readFileSync(join(notes, name), "utf8"))
              : []
            if (!noted.some((text) => text.includes('"part"')) && child.exitCode === null) return
            clearInterval(look)
            child.kill("SIGKILL")
          }, 5)
        }
      })
    expect((await cutOff()).signal).toBe("SIGKILL")
    const listed = await bench.run(["gc", "to/"])
    expect(listed.stdout).toMatch(
      /^to\/large\.raw: upload \.large\.raw\.headrace-.*, the store lists it, and it is noted here\n1 unf/
    )
    const again = await bench.run(["upload", "large.raw", "--to", "to/large.raw", "--progress", "none"])
    expect(again.stdout).toMatch(/^ {2}note +goes on with the upload of .*: 64\.0 MiB of 100 MiB are there already$/m)
    expect(await readdir(join(bench.folder, "to"))).toEqual(["large.raw"])
    expect((await cutOff()).signal).toBe("SIGKILL")
    const deleted = await bench.run(["gc", "to/large.raw", "--delete"])
    expect(deleted.stdout, deleted.stderr).toMatch(/: 1 deleted\n$/)
    expect(await readdir(join(bench.folder, "to"))).toEqual(["large.raw"])
    expect((await bench.run(["gc", "to"])).stdout).toBe("nothing was left\n")
  })

  it("where a store cannot say it, nor be asked, is an error", async () => {
    const web = await bench.run(["gc", "http://127.0.0.1:9/x"])
    expect(web).toMatchObject({ code: 1, stdout: "" })
    expect(web.stderr).toMatch(
      /^headrace: http:\/\/127\.0\.0\.1:9\/x: this store cannot say what unfinished uploads left\n$/
    )
    const nobody = await bench.run(["gc", "s3://bucket?endpoint=http://127.0.0.1:9&region=x"])
    expect(nobody.code).toBe(1)
    expect(nobody.stderr).toMatch(/^headrace: s3:\/\/bucket\S*: there are no credentials: .*\n$/)
  })
})
