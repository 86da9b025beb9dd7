/** `headrace run` on the embedded Glance: what is typed, what comes of it, and what it says. */
import { type ChildProcess, execFileSync } from "node:child_process"
import { once } from "node:events"
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { type AddressInfo, connect, createServer as createTcp, type Socket } from "node:net"
import { join } from "node:path"
import type { BatchEvent, Receipt } from "headrace"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import * as Command from "./support/command.ts"

let bench: Command.Bench
beforeAll(async () => {
  bench = await Command.open()
})
afterAll(() => bench.close())

let folder: string
beforeEach(async () => {
  folder = await Command.folder(Command.cloud("emb", bench.glance.url))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const run = (args: ReadonlyArray<string>, options?: Command.RunOptions) =>
  Command.run(folder, ["run", ...args, "--progress", "none"], {
    ...options,
    env: { XDG_STATE_HOME: join(folder, "state"), ...options?.env }
  })

let names = 0
/** A manifest of files to images, of names that no other test has. */
const manifest = async (count: number, more: (at: number) => object = () => ({}), size = 4000) => {
  const lines: Array<object> = []
  for (let at = 0; at < count; at++) {
    const name = `n${names++}`
    await writeFile(join(folder, name), Command.random(size + at))
    lines.push({ id: `i${at}`, source: name, to: [`glance://emb/${name}`], ...more(at) })
  }
  await write(lines)
  return lines as ReadonlyArray<{ readonly id: string; readonly source: string; readonly to: ReadonlyArray<string> }>
}
const write = (lines: ReadonlyArray<object>) =>
  writeFile(join(folder, "m.ndjson"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
const images = (name: string) => bench.glance.images.list().filter((image) => image.name === name)
const events = (stdout: string): ReadonlyArray<BatchEvent> =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as BatchEvent)
const ids = (stdout: string, type: string) =>
  events(stdout)
    .filter((event) => event.type === type)
    .map(({ id }) => id)
const summaryOf = (stdout: string) => events(stdout).at(-1)

describe("lines that are wrong", () => {
  it("are told with file, line, field and what is allowed, before anything is begun", async () => {
    const [good] = await manifest(1)
    await writeFile(
      join(folder, "m.ndjson"),
      [
        JSON.stringify(good),
        "{nonsense",
        JSON.stringify({ ...good, id: "x", to: ["glance://emb/a?colour=red"] }),
        JSON.stringify({ ...good, id: "y", to: "glance://emb/a" }),
        JSON.stringify(good),
        JSON.stringify({ ...good, id: "z", source: "ftp://x/y" }),
        JSON.stringify({ ...good, id: "p", to: ["glance://emb/p"], properties: { visibility: "public" } })
      ].join("\n")
    )
    const ended = await run(["m.ndjson"])
    expect(ended.code).toBe(1)
    expect(ended.stderr.trimEnd().split("\n")).toEqual([
      expect.stringMatching(/^headrace: m\.ndjson:2: line: this is not JSON: /),
      expect.stringMatching(
        /^headrace: m\.ndjson:3: to\[0\]: unknown parameter "colour"; known for a destination: store/
      ),
      "headrace: m.ndjson:4: to: allowed: a list of paths or URIs",
      'headrace: m.ndjson:5: id: "i0" is the id of line 1 already',
      expect.stringMatching(/^headrace: m\.ndjson:6: source: unknown scheme "ftp"/),
      expect.stringMatching(/^headrace: m\.ndjson:7: properties\.visibility: allowed: keys of properties; /),
      "headrace: m.ndjson: 6 lines of m.ndjson are wrong: nothing was begun"
    ])
    expect(images(good!.source)).toEqual([])
    const skipped = await run(["m.ndjson", "--skip-invalid", "--json"])
    expect(skipped.code).toBe(2)
    expect(summaryOf(skipped.stdout)).toMatchObject({ verified: 1, failed: 0, remaining: 0 })
    expect((await run(["m.ndjson"])).code).toBe(1)
  })

  it("and a manifest or journal that cannot be used are one line", async () => {
    const fails = async (args: ReadonlyArray<string>, said: RegExp, options?: Command.RunOptions) => {
      const { code, stderr, stdout } = await run(args, options)
      expect(stderr).toMatch(said)
      expect(stderr.trimEnd().split("\n")).toHaveLength(1)
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    }
    await manifest(1)
    await fails(["none.ndjson"], /^headrace: none\.ndjson: it cannot be read: there is no such file\n$/)
    await fails(["."], /^headrace: \.: it cannot be read: it is a folder\n$/)
    await fails(["-"], /^headrace: --journal: this option is missing: standard input has no place/, {
      stdin: new Uint8Array()
    })
    await fails(
      ["m.ndjson", "--journal", "m.ndjson"],
      /^headrace: m\.ndjson: the journal: this is no journal of a batch\n$/
    )
    await fails(["m.ndjson", "--journal", "no/j"], /^headrace: no\/j: the journal: it cannot be opened: check that/)
    await writeFile(join(folder, "other"), '{"id":"a","source":"a"}')
    await fails(["m.ndjson", "--receipts", "other"], /^headrace: other: it holds something else than receipts/)
    await fails(
      ["m.ndjson", "--receipts", "m.ndjson"],
      /^headrace: --receipts: m\.ndjson is the manifest or the journal/
    )
    await fails(["m.ndjson", "--concurrency", "0"], /^headrace: --concurrency: "0" is not auto or a number from 1/)
    await fails(["m.ndjson", "--order", "x"], /^headrace: --order: "x" is not one of listed, largest\n$/)
    await fails(["m.ndjson", "--max-failures", "x"], /^headrace: --max-failures: "x" is not a number of lines/)
    await fails(["m.ndjson", "--deadline", "x"], /^headrace: --deadline: /)
    await fails(["m.ndjson", "--only", "q"], /^headrace: m\.ndjson: there is no line with the id "q"\n$/)
  })
})

describe("a second time", () => {
  it("does only what is new, says what has vanished, and refuses what was changed unless told", async () => {
    const lines = await manifest(3)
    expect((await run(["m.ndjson"])).code).toBe(0)
    const again = await run(["m.ndjson", "--json"])
    expect(again.code).toBe(0)
    expect(summaryOf(again.stdout)).toMatchObject({ type: "summary", verified: 0, remaining: 0 })

    await writeFile(join(folder, "new"), "new")
    const added = { id: "new", source: "new", to: [`glance://emb/${lines[0]!.source}-new`] }
    await write([lines[0]!, lines[1]!, added])
    const more = await run(["m.ndjson", "--json"])
    expect(more.stderr).toBe('headrace: m.ndjson: id: "i2" is not in the manifest any more\n')
    expect({ code: more.code, done: ids(more.stdout, "receipt") }).toEqual({ code: 0, done: ["new"] })

    const other = { ...lines[0]!, to: [`${lines[0]!.to[0]}-other`] }
    await write([other, lines[1]!, added])
    const refused = await run(["m.ndjson"])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('headrace: m.ndjson:1: id: "i0" was another transfer in an earlier run\n')
    expect(refused.stderr).toContain("1 line of m.ndjson was changed since an earlier run: nothing was begun\n")
    const replanned = await run(["m.ndjson", "--replan", "--json"])
    expect({ code: replanned.code, done: ids(replanned.stdout, "receipt") }).toEqual({ code: 0, done: ["i0"] })
    expect(images(`${lines[0]!.source}-other`)).toHaveLength(1)
  })

  it("is refused while the first runs", async () => {
    await manifest(2, undefined, 200_000)
    let second: Promise<Command.Ended> | undefined
    const first = await run(["m.ndjson", "--limit", "100KiB/s", "--json"], {
      during: (child) =>
        Command.whenFlowing(child, () => {
          second = run(["m.ndjson"])
        })
    })
    expect(first.code).toBe(0)
    const { code, stderr } = await second!
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^headrace: m\.ndjson\.journal: the journal: another run that lives writes it \(process \d+ on /
    )
  })

  it("does lines again that have failed, when told, and writes their receipts anew", async () => {
    const lines = await manifest(3)
    const bytes = await readFile(join(folder, lines[1]!.source))
    await rm(join(folder, lines[1]!.source))
    const first = await run(["m.ndjson", "--receipts", "r"])
    expect(first.code).toBe(2)
    expect(first.stderr).toContain("headrace: i1: n")
    expect((await run(["m.ndjson"])).code).toBe(2)
    await writeFile(join(folder, lines[1]!.source), bytes)
    const again = await run(["m.ndjson", "--retry-failed", "--receipts", "r", "--json"])
    expect({ code: again.code, done: ids(again.stdout, "receipt") }).toEqual({ code: 0, done: ["i1"] })
    const receipts = (await readFile(join(folder, "r"), "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(receipts.map(({ id }) => id).sort()).toEqual(["i0", "i1", "i2"])
    expect(receipts.every(({ destinations }) => destinations[0].status === "verified")).toBe(true)
  })
})

it("of a line that is done again only the destinations that failed are written", async () => {
  const name = `n${names++}`
  await writeFile(join(folder, name), Command.random(5000))
  await writeFile(join(folder, "shut"), "")
  await write([
    { id: "two", source: name, to: [`glance://emb/${name}`, "shut/there"], also: [`glance://emb/${name}-also`] }
  ])
  expect((await run(["m.ndjson", "--receipts", "r"])).code).toBe(2)
  expect([images(name).length, images(`${name}-also`).length]).toEqual([1, 1])
  await rm(join(folder, "shut"))
  await mkdir(join(folder, "shut"))
  const again = await run(["m.ndjson", "--retry-failed", "--receipts", "r", "--json"])
  expect(again.code, again.stderr).toBe(0)
  expect([images(name).length, images(`${name}-also`).length]).toEqual([1, 1])
  const receipt = JSON.parse(await readFile(join(folder, "r"), "utf8")) as Receipt
  expect(receipt.destinations.map(({ required, status, uri }) => [uri, required, status])).toEqual([
    [`glance://emb/${name}`, true, "verified"],
    ["shut/there", true, "stored"],
    [`glance://emb/${name}-also`, false, "verified"]
  ])
})

describe("what is begun", () => {
  it("is chosen by id, and in the order that is asked for", async () => {
    await manifest(8, (at) => ({ size: [5, 1, 7, 3, 8, 2, 6, 4][at] }))
    const only = await run(["m.ndjson", "--only", "i3,i5", "--only", "i1", "--json"])
    expect(ids(only.stdout, "receipt").sort()).toEqual(["i1", "i3", "i5"])
    const listed = await run(["m.ndjson", "--order", "listed", "--concurrency", "1", "--json"])
    expect(ids(listed.stdout, "receipt")).toEqual(["i0", "i2", "i4", "i6", "i7"])
  })

  it("is the largest first, and small ones get past it", async () => {
    await manifest(8, (at) => ({ size: [5, 1, 7, 3, 8, 2, 6, 4][at] }))
    const one = await run(["m.ndjson", "--concurrency", "1", "--json"])
    // By the sizes that the manifest says: 8 7 6 5 4 3 2 1.
    expect(ids(one.stdout, "receipt")).toEqual(["i4", "i2", "i6", "i0", "i7", "i3", "i5", "i1"])
    await rm(join(folder, "m.ndjson.journal"))
    await manifest(8, (at) => ({ size: [5, 1, 7, 3, 8, 2, 6, 4][at] }))
    const two = await run(["m.ndjson", "--concurrency", "2", "--limit", "40KiB/s", "--json"])
    expect(ids(two.stdout, "start").slice(0, 2).sort()).toEqual(["i1", "i4"])
  })

  it("ends after so many failures, or when time is over", async () => {
    const lines = await manifest(6)
    for (const { source } of lines.slice(0, 4)) await rm(join(folder, source))
    const failed = await run(["m.ndjson", "--max-failures", "2", "--order", "listed", "--concurrency", "1", "--json"])
    expect(failed.code).toBe(2)
    expect(summaryOf(failed.stdout)).toMatchObject({ failed: 2, remaining: 4 })
    await manifest(4, undefined, 100_000)
    const late = await run(["m.ndjson", "--replan", "--deadline", "2s", "--limit", "20KiB/s", "--json"])
    expect(late.code).toBe(2)
    expect(summaryOf(late.stdout)).toMatchObject({ remaining: expect.any(Number) })
    expect(bench.glance.images.list().filter(({ status }) => status !== "active")).toEqual([])
  })

  it("is not made by a dry run, which says what would be, and ends as the run would", async () => {
    const lines = await manifest(2)
    await write([...lines, { id: "no", source: "none", to: ["glance://emb/x"] }])
    const dry = await run(["m.ndjson", "--dry-run"])
    expect(dry.code).toBe(2)
    expect(dry.stdout).toContain(`i0: would create glance://emb/${lines[0]!.source}: a new image`)
    expect(dry.stderr).toContain("headrace: no: would fail glance://emb/x: cannot read 'none': no such file")
    expect(images(lines[0]!.source)).toEqual([])
    expect((await readdir(folder)).filter((name) => name.includes("journal"))).toEqual([])
    const json = await run(["m.ndjson", "--dry-run", "--json"])
    expect(ids(json.stdout, "plan").sort()).toEqual(["i0", "i1", "no"])
  })

  it("comes from standard input", async () => {
    const lines = await manifest(2)
    const stdin = Buffer.from(lines.map((line) => JSON.stringify(line)).join("\n"))
    const args = ["-", "--journal", "j", "--json"]
    expect((await run(args, { stdin })).code).toBe(0)
    const again = await run(args, { stdin })
    expect({ code: again.code, done: ids(again.stdout, "receipt") }).toEqual({ code: 0, done: [] })
  })
})

describe("when it is stopped", () => {
  it("Ctrl-C tidies up, and the same command goes on", async () => {
    const lines = await manifest(4, undefined, 200_000)
    const stopped = await run(["m.ndjson", "--limit", "100KiB/s", "--json"], {
      during: (child) => Command.whenFlowing(child, () => void child.kill("SIGINT"))
    })
    expect(stopped.code).toBe(130)
    expect(stopped.stderr).toMatch(
      /headrace: m\.ndjson: interrupted \(SIGINT\): the same command goes on where it was\n$/
    )
    expect(lines.flatMap(({ source }) => images(source)).filter(({ status }) => status !== "active")).toEqual([])
    const again = await run(["m.ndjson", "--json"])
    expect(again.code).toBe(0)
    for (const { source } of lines) expect(images(source)).toHaveLength(1)
  })

  it("SIGSTOP for a while and SIGCONT: goes on", async () => {
    const lines = await manifest(3, undefined, 200_000)
    const ended = await run(["m.ndjson", "--limit", "100KiB/s", "--json"], {
      during: (child) =>
        Command.whenFlowing(child, () => {
          child.kill("SIGSTOP")
          setTimeout(() => child.kill("SIGCONT"), 3000)
        })
    })
    expect(ended.code).toBe(0)
    for (const { source } of lines) expect(images(source)).toHaveLength(1)
  })
})

/** A way to a service that can be shut, as when a cloud goes away. */
const gate = async (to: string) => {
  const { hostname, port } = new URL(to)
  const open = new Set<Socket>()
  let shut = false
  const server = createTcp((socket) => {
    if (shut) return void socket.destroy()
    const far = connect(Number(port), hostname)
    for (const one of [socket, far]) {
      open.add(one)
      one.on("error", () => {})
      one.on("close", () => open.delete(one))
    }
    socket.pipe(far).pipe(socket)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    away: (ms: number) => {
      shut = true
      for (const socket of open) socket.destroy()
      setTimeout(() => {
        shut = false
      }, ms)
    },
    close: () => {
      for (const socket of open) socket.destroy()
      server.close()
    }
  }
}

describe("services that go away", () => {
  let way: Awaited<ReturnType<typeof gate>>
  beforeEach(async () => {
    way = await gate(bench.glance.url)
    await writeFile(
      join(folder, "clouds.yaml"),
      `clouds:\n${Command.cloud("emb", bench.glance.url)}${Command.cloud("far", way.url)}`
    )
  })
  afterEach(() => way.close())

  /** Shuts the way when the first line has its receipt. */
  const shutAfterFirst = (ms: number) => (child: ChildProcess) => {
    let seen = ""
    child.stdout!.on("data", (text: string) => {
      if (seen.includes('"type":"receipt"')) return
      seen += text
      if (seen.includes('"type":"receipt"')) way.away(ms)
    })
  }

  it("a destination: every line is done once it is back", { timeout: 90_000 }, async () => {
    const lines = await manifest(10, (at) => ({ to: [`glance://far/away-${names}-${at}`] }))
    const ended = await run(["m.ndjson", "--retries", "1", "--concurrency", "2", "--json"], {
      during: shutAfterFirst(6000)
    })
    expect(ended.code, ended.stderr).toBe(0)
    expect(summaryOf(ended.stdout)).toMatchObject({ verified: 10 })
    for (const { to } of lines) expect(images(to[0]!.split("/").at(-1)!)).toHaveLength(1)
  })

  it("a source: the same", { timeout: 90_000 }, async () => {
    const sources = await manifest(6)
    expect((await run(["m.ndjson"])).code).toBe(0)
    await write(
      sources.map(({ id, source }) => ({ id, source: `glance://far/${source}`, to: [`glance://emb/moved-${source}`] }))
    )
    const ended = await run(["m.ndjson", "--journal", "j2", "--retries", "1", "--concurrency", "1", "--json"], {
      during: shutAfterFirst(6000)
    })
    expect(ended.code, ended.stderr).toBe(0)
    for (const { source } of sources) expect(images(`moved-${source}`)).toHaveLength(1)
  })

  it("one that has never answered is not waited for", async () => {
    await manifest(3, () => ({ to: ["glance://nowhere/x"] }))
    await writeFile(join(folder, "clouds.yaml"), `clouds:\n${Command.cloud("nowhere", "http://127.0.0.1:9")}`)
    const ended = await run(["m.ndjson", "--retries", "0", "--json"])
    expect(ended.code).toBe(2)
    expect(summaryOf(ended.stdout)).toMatchObject({ failed: 3 })
  })
})

describe("the journal", () => {
  const canMount = (): boolean => {
    try {
      execFileSync("unshare", ["-m", "true"], { stdio: "ignore" })
      return process.getuid?.() === 0
    } catch {
      return false
    }
  }

  it.skipIf(!canMount())("that is read-only is said, and nothing is begun [optional]", async () => {
    const lines = await manifest(2)
    const disk = join(folder, "disk")
    await mkdir(disk)
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk])
    try {
      execFileSync("mount", ["-o", "remount,ro", disk])
      const ended = await run(["m.ndjson", "--journal", "disk/j"])
      expect(ended.code).toBe(1)
      expect(ended.stderr).toMatch(/^headrace: disk\/j: the journal: it cannot be (opened|written)/)
      expect(images(lines[0]!.source)).toEqual([])
    } finally {
      execFileSync("umount", [disk])
    }
  })

  it.skipIf(!canMount())(
    "on a full disk is waited for, and no line is lost or done twice [optional]",
    { timeout: 90_000 },
    async () => {
      const lines = await manifest(40, () => ({ properties: { pad: "x".repeat(20_000) } }))
      const disk = join(folder, "disk")
      await mkdir(disk)
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", disk])
      try {
        await writeFile(join(disk, "fill"), Buffer.alloc(5_600_000))
        let told = false
        const ended = await run(["m.ndjson", "--journal", "disk/j", "--json"], {
          during: (child) => {
            child.stdout.on("data", (text: string) => {
              if (told || !text.includes('"type":"wait"')) return
              told = true
              setTimeout(() => void rm(join(disk, "fill")), 1500)
            })
          }
        })
        expect(ended.code, ended.stderr).toBe(0)
        for (const { source } of lines) expect(images(source)).toHaveLength(1)
      } finally {
        execFileSync("umount", [disk])
      }
    }
  )
})
