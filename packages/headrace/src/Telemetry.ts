/**
 * What leaves a run for those who watch it: numbers as Prometheus text on a port of this machine, and traces and metrics
 * to an OTLP collector that the usual `OTEL_*` variables name. Where none of it is asked for, nothing of it is loaded.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Wanted from "./internal/telemetry/wanted.ts"

/**
 * Why there can be no telemetry as it was asked for; one line.
 *
 * @since 0.1.0
 * @category errors
 */
export class TelemetryError extends Data.TaggedError("TelemetryError")<{ readonly message: string }> {}

/**
 * What is wanted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The port that serves `GET /metrics`; 0 for any that is free. */
  readonly metricsPort?: number | undefined
  /** The environment with the `OTEL_*` variables. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Is told a line: where the metrics are, what cannot be sent. */
  readonly complain: (line: string) => void
}

/**
 * To be provided around all that is to be seen. A port that is taken fails it before anything begins; a collector that
 * is away is told of once, and neither slows nor fails what runs.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<never, TelemetryError> => {
  const { complain, env, metricsPort } = options
  const wanted = Wanted.read(env)
  if (metricsPort === undefined && wanted === undefined) return Layer.empty
  const served =
    metricsPort === undefined
      ? Layer.empty
      : Layer.unwrap(
          Effect.map(
            Effect.promise(() => import("./internal/telemetry/metricsServer.ts")),
            (server) => Layer.effectDiscard(server.serve(metricsPort, complain))
          )
        ).pipe(Layer.catchTag("PortError", ({ message }) => Layer.effectDiscard(new TelemetryError({ message }))))
  if (wanted === undefined) return served
  if (wanted._tag === "Wrong") {
    // As OpenTelemetry has it: what is wrong with telemetry stops nobody's work.
    return Layer.merge(served, Layer.effectDiscard(Effect.sync(() => complain(`telemetry is off: ${wanted.message}`))))
  }
  const sent = Layer.unwrap(
    Effect.map(
      Effect.promise(() => import("./internal/telemetry/otlp.ts")),
      (otlp) => otlp.layer(wanted, complain)
    )
  )
  return Layer.merge(served, sent)
}
