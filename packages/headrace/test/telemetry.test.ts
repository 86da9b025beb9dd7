import * as Metrics from "@headrace/batch/Metrics"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import * as Telemetry from "../src/Telemetry.ts"
import { type Bench, open } from "./support/command.ts"

const listen = (server: Server): Promise<number> =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)))

const within = <A>(metricsPort: number, test: (said: ReadonlyArray<string>) => Promise<A>) => {
  const said: Array<string> = []
  return Effect.runPromise(
    Effect.result(
      Effect.gen(function* () {
        const metrics = yield* Metrics.make()
        metrics.committed(7)
        return yield* Effect.promise(() => test(said))
      }).pipe(
        Effect.scoped,
        Effect.provide(Telemetry.layer({ metricsPort, env: {}, complain: (line) => said.push(line) })),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
    )
  )
}

describe("metrics on a port", () => {
  it("are Prometheus text at /metrics, and nothing is anywhere else, until the run ends", async () => {
    let url = ""
    await within(0, async (said) => {
      url = /^metrics: (http:\/\/127\.0\.0\.1:\d+\/metrics)$/.exec(said[0]!)![1]!
      const answer = await fetch(url)
      expect(answer.status).toBe(200)
      expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
      const text = await answer.text()
      expect(text).toMatch(
        /# HELP headrace_journal_commits_total .+\n# TYPE headrace_journal_commits_total counter\nheadrace_journal_commits_total 7\n/
      )
      expect((await fetch(url.replace("/metrics", "/"))).status).toBe(404)
      expect((await fetch(url, { method: "POST" })).status).toBe(405)
    })
    await expect(fetch(url)).rejects.toThrow()
  })

  it("on a port that is taken is an error before anything begins", async () => {
    const taken = createServer()
    const port = await listen(taken)
    let begun = false
    const result = await within(port, async () => {
      begun = true
    })
    taken.close()
    expect(result).toMatchObject({
      failure: {
        _tag: "TelemetryError",
        message: `--metrics ${port}: this port is taken; name another one, or 0 for any that is free`
      }
    })
    expect(begun).toBe(false)
  })
})

interface Span {
  readonly name: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: Record<string, unknown> }>
}

describe("OTLP", () => {
  let bench: Bench
  let collector: Server
  let endpoint = ""
  const got: Array<{ readonly path: string; readonly type: string; readonly key: string; readonly body: Buffer }> = []
  let status = 200
  beforeAll(async () => {
    bench = await open({ manner: "uwsgi" })
    await bench.file("disk.raw", 3 * 1024 * 1024)
    collector = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const { "content-type": type = "", "x-key": key } = request.headers
        got.push({ path: request.url!, type, key: String(key), body: Buffer.concat(chunks) })
        response.writeHead(status, { "content-type": "application/json" }).end("{}")
      })
    })
    endpoint = `http://127.0.0.1:${await listen(collector)}`
  })
  beforeEach(() => {
    got.length = 0
    status = 200
  })
  afterAll(async () => {
    collector.closeAllConnections()
    collector.close()
    await bench.close()
  })

  const upload = (env: Readonly<Record<string, string>>, source = "disk.raw") =>
    bench.run(["upload", source, "--to", "glance://emb/disk", "--progress", "none"], { env })

  it("brings a span for the transfer, its attempt and each request, to the collector that is named", async () => {
    const ended = await upload({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_HEADERS: "x-key=abc"
    })
    expect(ended).toMatchObject({ code: 0, stderr: expect.not.stringContaining("telemetry") })
    const traces = got.filter(({ path }) => path === "/v1/traces")
    expect(traces.map(({ key, type }) => [key, type])).toContainEqual(["abc", "application/json"])
    const resources = traces.flatMap(({ body }) => JSON.parse(body.toString()).resourceSpans)
    expect(JSON.stringify(resources[0].resource)).toContain('{"key":"service.name","value":{"stringValue":"headrace"}}')
    const spans: ReadonlyArray<Span> = resources.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }: { spans: ReadonlyArray<Span> }) => spans)
    )
    const value = (span: Span, key: string) => Object.values(span.attributes.find((a) => a.key === key)?.value ?? {})[0]
    const transfer = spans.find(({ name }) => name === "headrace.transfer")!
    const attempt = spans.find(({ name }) => name === "headrace.attempt")!
    const put = spans.find(({ name }) => name === "PUT")!
    const post = spans.find(({ name }) => name === "POST")!
    expect(attempt.parentSpanId).toBe(transfer.spanId)
    expect(put.parentSpanId).toBe(attempt.spanId)
    expect(post.parentSpanId).toBe(transfer.spanId)
    expect(value(put, "url.path")).toMatch(/^\/v2\/images\/[0-9a-f-]{36}\/file$/)
    expect(value(put, "server.address")).toBe(new URL(bench.glance.url).host)
    expect(value(put, "headrace.request_id")).toMatch(/^req-/)
    expect(value(transfer, "headrace.source")).toBe("disk.raw")
    expect(JSON.stringify(value(transfer, "headrace.status"))).toContain("verified")
  })

  it("is protobuf unless JSON is asked for, and carries no signature of a URL", async () => {
    // The collector gives an object, too.
    const ended = await upload(
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint}/mine` },
      `${endpoint}/object?signature=verysecret`
    )
    expect(ended.code).toBe(0)
    const sent = got.filter(({ path }) => path === "/mine")
    expect(sent.map(({ type }) => type)).toEqual(["application/x-protobuf"])
    expect(sent[0]!.body.includes("headrace.transfer")).toBe(true)
    expect(sent[0]!.body.includes("/object")).toBe(true)
    expect(sent[0]!.body.includes("verysecret")).toBe(false)
  })

  it.each([
    ["nothing is named", {}],
    ["it is disabled", { OTEL_SDK_DISABLED: "true", OTEL_EXPORTER_OTLP_ENDPOINT: "" }]
  ])("sends nothing where %s", async (_, env) => {
    const all = "OTEL_SDK_DISABLED" in env ? { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } : env
    expect((await upload(all)).code).toBe(0)
    expect(got).toEqual([])
  })

  it("tells once of a collector that is away or refuses, and the upload is as good and as fast", async () => {
    const away = await upload({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://user:secret@127.0.0.1:9" })
    expect(away.code).toBe(0)
    expect(away.stderr.match(/telemetry cannot be sent to http:\/\/127\.0\.0\.1:9: /g)).toHaveLength(1)
    expect(away.stderr).not.toContain("secret")
    status = 503
    const began = performance.now()
    const refused = await upload({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
    expect(refused.code).toBe(0)
    expect(refused.stderr.match(/telemetry cannot be sent to .*: status 503/g)).toHaveLength(1)
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  it("names a variable that cannot be used, and runs without", async () => {
    const ended = await upload({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" })
    expect(ended.code).toBe(0)
    expect(ended.stderr).toContain("telemetry is off: OTEL_EXPORTER_OTLP_PROTOCOL: write http/protobuf or http/json\n")
    expect(got).toEqual([])
  })
})
