import { closeSync, existsSync, openSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open, whenFlowing } from "./support/command.ts"
import { endOf, read } from "./support/events.ts"

describe("an upload that is stopped", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open()
    await bench.file("disk.raw", 20 * 1024 * 1024)
  })
  afterAll(() => bench.close())

  const slowly = (name: string) =>
    ["upload", "disk.raw", "--to", `glance://emb/${name}`, "--json", "--limit", "4MiB/s"] as const

  for (const [signal, code] of [
    ["SIGHUP", 129],
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const) {
    it(`${signal}: the bytes stop, nothing is left, exit code ${code}`, async () => {
      let at = 0
      const ended = await bench.run(slowly(signal), {
        during: (child) =>
          whenFlowing(child, () => {
            at = Date.now()
            child.kill(signal)
          })
      })
      expect(Date.now() - at).toBeLessThan(5000)
      expect(ended.code).toBe(code)
      expect(ended.stderr).toBe(
        `headrace: glance://emb/${signal}: interrupted (${signal}): nothing is left behind, run it again to upload\n`
      )
      const lines = read(ended.stdout)
      expect(lines.at(-2)).toMatchObject({ type: "verdict", status: "cancelled" })
      expect(endOf(lines)).toMatchObject({
        status: "cancelled",
        attempts: 1,
        error: { reason: "Interrupted", left: "none" }
      })
      expect(bench.glance.images.list()).toEqual([])
    })
  }

  it("--keep-failed: what is left is said", async () => {
    const ended = await bench.run([...slowly("kept"), "--keep-failed"], {
      during: (child) => whenFlowing(child, () => child.kill("SIGINT"))
    })
    expect(ended.code).toBe(130)
    const left = (endOf(read(ended.stdout))["error"] as { readonly left: string }).left
    expect(left).toMatch(/^(queued|saving) image \S+$/)
    expect(ended.stderr).toContain(`: ${left} is left behind, `)
  })

  it("while what differs at the service is being deleted: that it differed is said too", async () => {
    bench.glance.faults.push(
      { type: "corrupt", offset: 1000 },
      { type: "drop", on: "delete", at: "before", how: "hang" }
    )
    const ended = await bench.run(["upload", "disk.raw", "--to", "glance://emb/differs"], {
      during: (child) => {
        const look = setInterval(() => {
          if (bench.glance.faults.waiting() > 0) return
          clearInterval(look)
          child.kill("SIGINT")
        }, 20)
      }
    })
    expect(ended.code).toBe(130)
    expect(ended.stderr).toMatch(
      /^headrace: \S+: interrupted \(SIGINT\); it had failed before: \w+ .*: nothing is left behind, /m
    )
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("differs")
  })

  it("a second signal ends at once, and says what is not known", async () => {
    // The image's deletion gets no answer, so tidying up would take its whole five seconds.
    bench.glance.faults.push(
      { type: "drop", on: "delete", at: "before", how: "hang" },
      { type: "drop", on: "show", at: "before", how: "hang" }
    )
    let second = 0
    const ended = await bench.run(slowly("twice"), {
      during: (child) =>
        whenFlowing(child, () => {
          child.kill("SIGINT")
          setTimeout(() => {
            second = Date.now()
            child.kill("SIGINT")
          }, 700)
        })
    })
    expect(Date.now() - second).toBeLessThan(1500)
    expect(ended.code).toBe(130)
    expect(ended.stderr).toMatch(
      /^headrace: glance:\/\/emb\/twice: interrupted \(SIGINT\) before everything was tidied up/
    )
    bench.glance.faults.clear()
  })

  it("a signal that is handed on twice at once is one", async () => {
    const ended = await bench.run(slowly("echo"), {
      during: (child) =>
        whenFlowing(child, () => {
          child.kill("SIGINT")
          child.kill("SIGTERM")
        })
    })
    expect(ended.code).toBeGreaterThanOrEqual(130)
    expect(ended.stderr).toMatch(/: interrupted \(SIG[A-Z]+\): nothing is left behind, run it again to upload\n$/)
    expect(endOf(read(ended.stdout))).toMatchObject({ status: "cancelled", error: { left: "none" } })
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("echo")
  })

  it("a signal while standard input gives nothing", async () => {
    const ended = await bench.run(["upload", "-", "--to", "glance://emb/idle"], {
      stdin: "open",
      during: (child) => setTimeout(() => child.kill("SIGINT"), 1000)
    })
    expect(ended.code).toBe(130)
    expect(ended.stderr).toMatch(/interrupted \(SIGINT\): nothing/)
  })

  it("sum stops too", async () => {
    const ended = await bench.run(["sum", "-"], {
      stdin: "open",
      during: (child) => setTimeout(() => child.kill("SIGTERM"), 1000)
    })
    expect(ended).toMatchObject({ code: 143, stdout: "", stderr: "headrace: -: interrupted (SIGTERM)\n" })
  })

  it.runIf(existsSync("/dev/ptmx"))("a device that gives nothing does not hold the end up", async () => {
    for (const [args, line] of [
      [["sum", "/dev/ptmx"], "headrace: /dev/ptmx: interrupted (SIGINT)\n"],
      [["upload", "/dev/ptmx", "--to", "glance://emb/mute"], /^headrace: glance:.*interrupted \(SIGINT\): nothing /]
    ] as const) {
      let at = 0
      const ended = await bench.run(args, {
        during: (child) =>
          setTimeout(() => {
            at = Date.now()
            child.kill("SIGINT")
          }, 1000)
      })
      expect(Date.now() - at).toBeLessThan(5000)
      expect(ended.signal).toBe("SIGINT")
      expect(ended.stderr).toMatch(line)
      expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("mute")
    }
  })

  it("whoever reads standard output goes away: quiet, tidied up", async () => {
    const ended = await bench.run(slowly("head"), {
      during: (child) => whenFlowing(child, () => child.stdout.destroy())
    })
    expect(ended.stderr).toBe("")
    expect(ended.code).toBe(141)
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("head")
  })

  it.runIf(existsSync("/dev/full"))(
    "a standard output that cannot be written does not stop the upload, and is said",
    async () => {
      const full = openSync("/dev/full", "w")
      const ended = await bench.run(["upload", "disk.raw", "--to", "glance://emb/full", "--progress", "none"], {
        stdout: full
      })
      closeSync(full)
      expect(ended.stderr).toBe(
        "headrace: standard output: cannot be written (ENOSPC): what it should have said is lost\n"
      )
      expect(ended.code).toBe(1)
      expect(bench.glance.images.list().find(({ name }) => name === "full")?.status).toBe("active")
    }
  )

  it.runIf(existsSync("/dev/full"))("digests and help that cannot be written are no success", async () => {
    const full = openSync("/dev/full", "w")
    for (const args of [["sum", "disk.raw"], ["stores", "glance://emb"], ["--help"]]) {
      expect(await bench.run(args, { stdout: full })).toMatchObject({
        code: 1,
        stderr: "headrace: standard output: cannot be written (ENOSPC): what it should have said is lost\n"
      })
    }
    closeSync(full)
  })

  it("whoever reads standard error goes away: the upload goes on", async () => {
    const ended = await bench.run(["upload", "disk.raw", "--to", "glance://emb/deaf", "--progress", "plain"], {
      during: (child) => child.stderr.destroy()
    })
    expect(ended.code).toBe(0)
    expect(ended.stdout).toMatch(/^verified glance:\/\/emb\/deaf\n/)
  })

  it("a reader that pauses does not hold the upload up, and gets the receipt", async () => {
    // A long URI, which each event repeats, so that the pipe is full long before the end.
    const to = `glance://emb/paused?property.note=${"n".repeat(60_000)}`
    const active = () => bench.glance.images.list().some(({ name, status }) => name === "paused" && status === "active")
    let exited = false
    let exitedWhilePaused: boolean | undefined
    const ended = await bench.run(["upload", "disk.raw", "--to", to, "--json", "--limit", "8MiB/s"], {
      during: (child) => {
        child.on("exit", () => (exited = true))
        child.stdout.pause()
        const looking = setInterval(() => {
          if (!active()) return
          clearInterval(looking)
          setTimeout(() => {
            exitedWhilePaused = exited
            child.stdout.resume()
          }, 500)
        }, 50)
      }
    })
    expect(exitedWhilePaused).toBe(false)
    expect(ended.code).toBe(0)
    const lines = read(ended.stdout)
    expect(lines.at(-1)).toMatchObject({ type: "receipt" })
    expect(lines.filter(({ type }) => type === "progress").length).toBeLessThan(8)
  })

  it("a signal while the reader pauses is not held up either", async () => {
    const to = `glance://emb/held?property.note=${"n".repeat(60_000)}`
    let signalled = 0
    let exited = 0
    const ended = await bench.run(["upload", "disk.raw", "--to", to, "--json", "--limit", "4MiB/s"], {
      during: (child) => {
        child.stdout.pause()
        child.on("exit", () => (exited = Date.now()))
        // After three seconds a dozen events of 120 kB have filled the pipe.
        setTimeout(() => {
          signalled = Date.now()
          child.kill("SIGINT")
        }, 3000)
      }
    })
    expect(exited - signalled).toBeLessThan(4000)
    expect(ended.code).toBe(130)
    expect(ended.stderr).toMatch(/interrupted \(SIGINT\): nothing is left behind/)
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("held")
  })
})
