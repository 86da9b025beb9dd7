import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as GlanceUri from "@headrace/glance/GlanceUri"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Filter from "../src/Filter.ts"
import * as Line from "../src/Line.ts"
import * as Mapping from "../src/Mapping.ts"
import * as Plan from "../src/Plan.ts"
import * as PlanTotals from "../src/PlanTotals.ts"
import { cloud, machine } from "./support/clouds.ts"

const planned = (options: Plan.Options) =>
  Effect.map(Stream.runCollect(Plan.entries(options)), (all) => {
    const counter = PlanTotals.counter()
    all.forEach(counter.add)
    const lines = all.flatMap((entry) => (entry._tag === "Line" ? [entry] : []))
    return {
      lines: lines.map(({ line }) => line),
      texts: lines.map(({ text }) => text),
      skipped: all.flatMap((entry) =>
        entry._tag === "Skipped" ? [`${entry.image.name}: ${entry.kind}: ${entry.why}`] : []
      ),
      notes: all.flatMap((entry) => (entry._tag === "Note" ? [`${entry.image.name}: ${entry.why}`] : [])),
      totals: counter.totals()
    }
  })

const rules = (json: unknown) => Result.getOrThrow(Mapping.decode(json))
const filter = (text: string) => Result.getOrThrow(Filter.parse(text))
const destination = (uri: string) => Result.getOrThrow(GlanceUri.destinationFrom(uri))

describe("a plan", () => {
  it.live("has a line for each image with data, complete, and says what it leaves out", () =>
    Effect.gen(function* () {
      const old = yield* cloud()
      const fresh = yield* cloud()
      const disk = yield* old.image(
        {
          name: "a disk/1",
          visibility: "private",
          protected: true,
          os_hidden: true,
          min_disk: 2,
          min_ram: 64,
          tags: ["x,y", "é"],
          os_distro: "alpine",
          hw_rng: "1",
          "owner_specified.openstack.md5": "x"
        },
        "one"
      )
      yield* old.image({ name: "other" }, "two")
      yield* old.image({ name: "queued" })
      yield* old.image({ name: "empty" }, "")
      const off = yield* old.image({ name: "off" }, "three")
      yield* old.post(`/v2/images/${off}/actions/deactivate`)
      yield* old.image({ name: "filtered" }, "four")
      const plan = yield* planned({
        from: `glance://${old.name}`,
        to: [`glance://${fresh.name}?store=fast&tag=moved&min_ram=128&property.site=b`],
        also: ["backup/"],
        filters: [filter("name!=filtered")],
        rules: rules({ drop: ["hw_*"], set: { team: "t" } })
      }).pipe(Effect.provide(machine(old, fresh)))
      assert.strictEqual(plan.lines.length, 2)
      const line = plan.lines.find(({ id }) => id === "a disk/1")!
      assert.deepStrictEqual(line, {
        id: "a disk/1",
        source: `glance://${old.name}/${disk}`,
        to: line.to,
        also: ["backup/a disk_1.raw"],
        size: 3,
        expect: line.expect,
        properties: { os_distro: "alpine", team: "t", hw_rng: null }
      })
      const { uri: _, ...image } = destination(line.to[0]!)
      assert.deepStrictEqual(image, {
        cloud: fresh.name,
        name: "a disk/1",
        store: "fast",
        tags: ["moved", "x,y", "é"],
        minRam: 128,
        properties: { site: "b" },
        visibility: "private",
        protected: true,
        hidden: true,
        diskFormat: "raw",
        containerFormat: "bare",
        minDisk: 2
      })
      assert.deepStrictEqual(Object.keys(line.expect), ["sha512"])
      assert.deepStrictEqual(
        plan.texts.map((text) => Result.getOrThrow(Line.decode(JSON.parse(text), 1))),
        plan.lines
      )
      assert.deepStrictEqual(plan.notes, [])
      assert.deepStrictEqual(plan.skipped.sort(), [
        "empty: empty: it has no data: 0 bytes",
        "off: deactivated: it is deactivated: nobody may read its data",
        "queued: inactive: it is queued: only an active image has data to read"
      ])
      assert.deepStrictEqual(plan.totals, {
        images: 2,
        bytes: 6,
        sent: 12,
        unsized: 0,
        formats: [["raw", { images: 2, bytes: 6 }]],
        skipped: { inactive: 1, empty: 1, deactivated: 1 },
        notes: 0,
        listed: 6,
        filtered: 1,
        requests: 15
      })
      assert.deepStrictEqual(
        fresh.glance.requests.filter(({ method }) => method !== "GET"),
        []
      )
    })
  )

  it.live("says of a public image that not everybody may make one", () =>
    Effect.gen(function* () {
      const old = yield* cloud({ auth: "fake", allowAnonymous: true })
      const fresh = yield* cloud()
      yield* old.image({ name: "open", visibility: "public" }, "1", "root:p:admin")
      const run = (to: string) =>
        Effect.provide(planned({ from: `glance://${old.name}`, to: [to] }), machine(old, fresh))
      const plan = yield* run(`glance://${fresh.name}`)
      assert.strictEqual(destination(plan.lines[0]!.to[0]!).visibility, "public")
      assert.deepStrictEqual(plan.notes, [
        `open: visibility is public, for which glance://${fresh.name} may want an administrator`
      ])
      const shared = yield* run(`glance://${fresh.name}?visibility=shared`)
      assert.strictEqual(destination(shared.lines[0]!.to[0]!).visibility, "shared")
      assert.deepStrictEqual(shared.notes, [])
    })
  )

  it.live("has ids that are unique and readable, whatever images are called, and names that stay", () =>
    Effect.gen(function* () {
      const old = yield* cloud()
      const fresh = yield* cloud()
      const twins = [yield* old.image({ name: "twin" }, "1"), yield* old.image({ name: "twin" }, "2")]
      // Called as the first twin's line is.
      yield* old.image({ name: `twin-${twins[0]}` }, "3")
      const uuid = randomUUID()
      const names = ["🚀".repeat(127), 'it\'s "q" ?&=#%41+', "line\nend", "..", uuid, "TWIN", "x".repeat(255)]
      for (const name of names) yield* old.image({ name }, name)
      const nameless = [yield* old.image({}, "5"), yield* old.image({ name: "" }, "6")]
      const plan = yield* planned({
        from: `glance://${old.name}`,
        to: [`glance://${fresh.name}`, "s3://bucket/pre%20fix/?region=x", "swift://c/container", "file:///tmp/a%20b/"]
      }).pipe(Effect.provide(machine(old, fresh)))
      const ids = plan.lines.map(({ id }) => id)
      assert.strictEqual(new Set(ids).size, 12)
      for (const name of names) assert.include(ids, name === uuid ? ids.find((id) => id.startsWith(`${uuid}-`)) : name)
      for (const id of twins) assert.include(ids, `twin-${id}`)
      for (const id of nameless) assert.include(ids, id)
      assert.deepStrictEqual(
        plan.lines.map(({ to }) => destination(to[0]!).name).sort(),
        ["twin", "twin", `twin-${twins[0]}`, ...names, ...nameless.map((id) => `image-${id}`)].sort()
      )
      assert.deepStrictEqual(plan.notes.length, 2)
      for (const at of [1, 2, 3]) {
        const keys = plan.lines.map(({ to }) => decodeURIComponent(to[at]!).toLowerCase())
        assert.strictEqual(new Set(keys).size, 12)
        for (const key of keys) {
          assert.match(
            key,
            /^(?:s3:\/\/bucket\/pre fix|swift:\/\/c\/container|file:\/\/\/tmp\/a b)\/[^/\\:*?"<>|\p{Cc}]+\.raw(?:\?region=x)?$/u
          )
        }
      }
      const file = (name: string) => plan.lines.find(({ id }) => id === name)!.to[2]
      assert.strictEqual(file("line\nend"), "swift://c/container/line_end.raw")
      assert.strictEqual(
        file(".."),
        "swift://c/container/image-" + plan.lines.find(({ id }) => id === "..")!.source.slice(-36) + ".raw"
      )
    })
  )

  it.live("leaves out what is there already, by its content, or by its content and name", () =>
    Effect.gen(function* () {
      const old = yield* cloud()
      const fresh = yield* cloud({ hashAlgo: "sha256" })
      yield* old.image({ name: "same" }, "same")
      yield* old.image({ name: "moved" }, "moved")
      yield* old.image({ name: "changed" }, "before")
      const same = yield* fresh.image({ name: "same", os_hidden: true }, "same")
      const renamed = yield* fresh.image({ name: "renamed" }, "moved")
      const changed = yield* fresh.image({ name: "changed" }, "after")
      yield* fresh.image({ name: "changed" })
      const options = { from: `glance://${old.name}`, to: [`glance://${fresh.name}`] }
      const run = (skipExisting: Plan.Options["skipExisting"]) =>
        Effect.provide(planned({ ...options, skipExisting }), machine(old, fresh))
      const there = `existing: it is there already: glance://${fresh.name} as image`
      const byHash = yield* run("hash")
      // The services have only MD5 in common.
      assert.deepStrictEqual(byHash.skipped.sort(), [
        `moved: ${there} ${renamed} "renamed" (same md5 and size)`,
        `same: ${there} ${same} (same md5 and size)`
      ])
      assert.deepStrictEqual(
        byHash.lines.map(({ id }) => id),
        ["changed"]
      )
      assert.deepStrictEqual(byHash.notes, [])
      const byName = yield* run("name")
      assert.deepStrictEqual(byName.skipped, [`same: ${there} ${same} (same md5 and size)`])
      assert.deepStrictEqual(byName.lines.map(({ id }) => id).sort(), ["changed", "moved"])
      assert.deepStrictEqual(byName.notes, [
        `changed: glance://${fresh.name} has the name already with other content: image ${changed}`
      ])
      assert.strictEqual((yield* run("none")).lines.length, 3)
    })
  )

  it.live("sends an image only to those of several clouds that do not have it", () =>
    Effect.gen(function* () {
      const [old, one, two] = [yield* cloud(), yield* cloud(), yield* cloud()]
      yield* old.image({ name: "half" }, "half")
      yield* old.image({ name: "all" }, "all")
      const half = yield* one.image({ name: "half" }, "half")
      for (const { image } of [one, two]) yield* image({ name: "all" }, "all")
      const to = [`glance://${one.name}`, `glance://${two.name}`]
      const plan = yield* Effect.provide(planned({ from: `glance://${old.name}`, to }), machine(old, one, two))
      assert.strictEqual(plan.lines.length, 1)
      assert.deepStrictEqual(
        plan.lines[0]!.to.map((uri) => destination(uri).cloud),
        [two.name]
      )
      assert.deepStrictEqual(plan.notes, [
        `half: it is at glance://${one.name} already, as image ${half}, and not sent there again`
      ])
      assert.match(plan.skipped[0]!, /^all: existing: it is there already: glance:\S+ as .*; glance:\S+ as .*$/)
    })
  )

  it.live("puts images behind those that they refer to, also in chains and circles", () =>
    Effect.gen(function* () {
      const old = yield* cloud()
      const fresh = yield* cloud()
      const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()]
      yield* old.image({ id: third, name: "third", base_image_ref: second }, "3")
      yield* old.image({ id: second, name: "second", kernel_id: first, ramdisk_id: first }, "2")
      const [yin, yang] = [randomUUID(), randomUUID()]
      yield* old.image({ id: yin, name: "yin", image_ref: yang }, "yin")
      yield* old.image({ id: yang, name: "yang", image_ref: yin }, "yang")
      yield* old.image({ name: "self", id: randomUUID() }, "self")
      yield* old.image({ id: first, name: "first", disk_format: "aki", container_format: "aki" }, "1")
      const gone = randomUUID()
      yield* old.image({ name: "orphan", base_image_ref: gone }, "4")
      const options = { from: `glance://${old.name}`, to: [`glance://${fresh.name}`] }
      const plan = yield* Effect.provide(planned(options), machine(old, fresh))
      const order = plan.lines.map(({ id }) => id)
      assert.strictEqual(order.length, 7)
      assert.isTrue(
        order.indexOf("first") < order.indexOf("second") && order.indexOf("second") < order.indexOf("third")
      )
      assert.strictEqual(plan.lines.find(({ id }) => id === "third")!.properties["base_image_ref"], second)
      assert.deepStrictEqual(plan.notes, [
        `orphan: base_image_ref refers to image ${gone}, which is neither planned nor known at glance://${fresh.name}`
      ])
    })
  )

  it.live("names the images there that take the place of those that are referred to", () =>
    Effect.gen(function* () {
      const old = yield* cloud()
      const fresh = yield* cloud()
      const kernel = yield* old.image({ name: "kernel" }, "kernel")
      yield* old.image({ name: "disk", kernel_id: kernel }, "disk")
      const there = yield* fresh.image({ name: "kernel" }, "kernel")
      const options = { from: `glance://${old.name}`, to: [`glance://${fresh.name}`] }
      for (const filters of [[], [filter("name=disk")]]) {
        const plan = yield* Effect.provide(planned({ ...options, filters }), machine(old, fresh))
        assert.deepStrictEqual(
          plan.lines.map(({ id }) => id),
          ["disk"]
        )
        assert.deepStrictEqual(destination(plan.lines[0]!.to[0]!).properties, { kernel_id: there })
        assert.deepStrictEqual(plan.notes, [])
      }
    })
  )

  it.live("has no line for an image that the destination would not take", () =>
    Effect.gen(function* () {
      const old = yield* cloud()
      yield* old.image({ name: "with", team: "t", protected: true }, "1")
      yield* old.image({ name: "without" }, "2")
      yield* old.image({ name: "big", team: "t", huge: "x".repeat(70_000) }, "3")
      const strict = yield* Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<{ readonly url: string; readonly close: () => void }>((resolve) => {
              const server = createServer((request, response) =>
                response.end(
                  JSON.stringify(
                    request.url === "/v2/schemas/image" ? { name: "image", required: ["name", "team"] } : { images: [] }
                  )
                )
              )
              server.listen(0, "127.0.0.1", () =>
                resolve({
                  url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
                  close: () => server.close()
                })
              )
            })
        ),
        ({ close }) => Effect.sync(close)
      )
      const fresh = { name: `strict-${randomUUID().slice(0, 8)}`, glance: strict }
      const run = (to: string, also: ReadonlyArray<string> = []) =>
        Effect.provide(planned({ from: `glance://${old.name}`, to: [to], also }), machine(old, fresh))
      const plan = yield* run(`glance://${fresh.name}`)
      assert.deepStrictEqual(
        plan.lines.map(({ id }) => id),
        ["with"]
      )
      assert.deepStrictEqual(plan.notes, [
        `with: glance://${fresh.name} wants properties, and may refuse to make it protected when its data is proven`
      ])
      assert.deepStrictEqual(plan.skipped.sort(), [
        'big: refused: property "huge" has 70000 bytes, more than 65535',
        `without: required: glance://${fresh.name} wants the property team, which this image lacks: ` +
          "give it by set in --map, or as property.KEY in the destination"
      ])
      assert.strictEqual((yield* run(`glance://${fresh.name}?property.team=x`)).lines.length, 2)
      // Where images become files, their properties do not matter; on best effort it is a note.
      assert.strictEqual((yield* run("folder/")).lines.length, 3)
      assert.match(
        (yield* run("folder/", [`glance://${fresh.name}`])).notes.join("\n"),
        /^without: .* wants the property team/m
      )
    })
  )

  it.live("of many images has each once", () =>
    Effect.gen(function* () {
      const old = yield* cloud({ hash: false })
      const fresh = yield* cloud()
      const all = Array.from({ length: 330 }, (_, i) => i)
      yield* Effect.forEach(all, (i) => old.image({ name: `${i % 300}`, os_hidden: i % 100 === 0 }, "x"), {
        concurrency: 8
      })
      const options = { from: `glance://${old.name}`, to: [`glance://${fresh.name}`] }
      const plan = yield* Effect.provide(planned(options), machine(old, fresh))
      assert.strictEqual(new Set(plan.lines.map(({ source }) => source)).size, 330)
      assert.strictEqual(new Set(plan.lines.map(({ id }) => id)).size, 330)
      assert.strictEqual(plan.lines.filter(({ id }) => id.length < 5).length, 270)
      // Without a digest nothing can be expected.
      assert.deepStrictEqual(plan.lines[0]!.expect, {})
    })
  )
})

describe("a plan that cannot be made", () => {
  const from = "glance://nowhere"
  it.effect.each([
    [{ from: "disk.raw", to: ["glance://c"] }, "disk.raw: a plan is made of the images of a cloud"],
    [{ from: "s3://b/k", to: ["glance://c"] }, "s3://b/k: a plan is made of the images of a cloud"],
    [{ from: "glance://", to: ["glance://c"] }, "the cloud is missing"],
    [{ from: "glance://c?x=1", to: ["a/"] }, 'unknown parameter "x"'],
    [{ from, to: [] }, "there is no destination that must succeed"],
    [
      { from, to: ["glance://c/name"] },
      "glance://c/name: the images keep their names: write glance://CLOUD?PARAMETERS"
    ],
    [{ from, to: ["glance://c?name=x"] }, "name is one image's, not all images'"],
    [{ from, to: ["glance://c?stores=x"] }, 'unknown parameter "stores"'],
    [{ from, to: ["glance://c?visibility=secret"] }, 'visibility is "secret"; allowed: '],
    [{ from, to: ["folder"] }, "folder: images become files there: end it in a slash, as in folder/"],
    [{ from, to: ["s3://b/prefix"] }, "images become files there: end it in a slash, as in s3://b/prefix/"],
    [{ from, to: ["s3://b?x=hunter2"] }, 's3://b: unknown parameter "x"'],
    [{ from, to: ["swift://c/d?x=hunter2"] }, 'swift://c/d: unknown parameter "x"'],
    [{ from, to: ["glance://c?x=hunter2"] }, 'glance://c?x=…: unknown parameter "x"'],
    [{ from, to: ["s3://user:hunter2@b/"] }, "s3://b/: a bucket is named without keys"],
    [{ from, to: ["swift://c"] }, "the container is missing"],
    [{ from, to: ["http://x/y/"] }, "a plan goes to glance://CLOUD, s3://BUCKET/PREFIX/"],
    [{ from, to: ["-"] }, "standard output cannot be a destination"],
    [{ from, to: ["a/"], also: ["a/"] }, "a/: this destination is given twice"]
  ] as const)("%j is one clear error", ([options, said]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Stream.runDrain(Plan.entries(options)))
      if (error._tag !== "EndError") return yield* Effect.die(error)
      assert.include(`${error.uri}: ${error.message}`, said)
      assert.notInclude(`${error.uri}: ${error.message}`, "hunter2")
    }).pipe(Effect.provide(machine()))
  )
})
