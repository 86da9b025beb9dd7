/**
 * Sends traces and metrics to a collector, by Effect's own exporters.
 */
import { Tracing } from "@headrace/core/Tracing"
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import type { Wanted } from "./wanted.ts"

/** Milliseconds that one request to a collector may take. */
const patienceMs = 2000

/** Milliseconds for which one that is away is left alone. */
const pauseMs = 60_000

/** An answer that is not asked for again. */
const refusal = (request: HttpClientRequest.HttpClientRequest) =>
  HttpClientResponse.fromWeb(request, new Response(null, { status: 400 }))

const originOf = ({ url }: HttpClientRequest.HttpClientRequest): string =>
  URL.canParse(url) ? new URL(url).origin : "the collector"

/**
 * The client of the exporters: it tells once what goes wrong, and asks a collector that is away only once a minute, as
 * nobody waits for telemetry.
 */
const client = (complain: (line: string) => void) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.gen(function* () {
      const plain = yield* HttpClient.HttpClient
      let told = false
      let awayUntil = -Infinity
      const away = (request: HttpClientRequest.HttpClientRequest, why: string) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          if (!told) complain(`telemetry cannot be sent to ${originOf(request)}: ${why}; the work goes on without it`)
          told = true
          awayUntil = now + pauseMs
          return refusal(request)
        })
      return HttpClient.transform(plain, (sending, request) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          now < awayUntil
            ? Effect.succeed(refusal(request))
            : sending.pipe(
                Effect.timeout(patienceMs),
                Effect.flatMap((response) =>
                  response.status < 400 ? Effect.succeed(response) : away(request, `status ${response.status}`)
                ),
                Effect.catch((error) =>
                  away(request, error._tag === "TimeoutError" ? "it does not answer" : "it cannot be reached")
                )
              )
        )
      )
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))

export const layer = (
  { env, protocol }: Extract<Wanted, { readonly _tag: "Wanted" }>,
  complain: (line: string) => void
): Layer.Layer<never> => {
  const serialization = protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf
  const exporters = Layer.mergeAll(OtlpTracer.layerFromConfig(), OtlpMetrics.layerFromConfig()).pipe(
    Layer.provide([serialization, client(complain)]),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )
  return Layer.merge(exporters, Layer.succeed(Tracing, true))
}
