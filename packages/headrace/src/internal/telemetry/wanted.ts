/**
 * What the `OTEL_*` variables ask for. Loaded with every upload, so it is small.
 */

export type Wanted =
  | {
      readonly _tag: "Wanted"
      readonly protocol: "http/json" | "http/protobuf"
      /** The variables, with what the specification takes where nothing is said. */
      readonly env: Readonly<Record<string, string>>
    }
  | { readonly _tag: "Wrong"; readonly message: string }

const endpoints = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
] as const

const protocols = ["http/protobuf", "http/json"] as const

const numbers = /^OTEL_(?:EXPORTER_OTLP_(?:(?:TRACES|METRICS)_)?TIMEOUT|BSP_\w+|METRIC_EXPORT_(?:INTERVAL|TIMEOUT))$/

const exporters = ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER"] as const

/** A variable that is empty counts as one that is not there (the specification has it so). */
const given = (env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith("OTEL_") && value !== undefined && value.trim() !== "" ? [[name, value.trim()]] : []
    )
  )

export const read = (environment: Readonly<Record<string, string | undefined>>): Wanted | undefined => {
  const env = given(environment)
  if (env["OTEL_SDK_DISABLED"]?.toLowerCase() === "true") return undefined
  if (endpoints.every((name) => env[name] === undefined)) return undefined
  const wrong = (name: string, allowed: string): Wanted => ({ _tag: "Wrong", message: `${name}: write ${allowed}` })
  for (const name of endpoints) {
    const value = env[name]
    if (value !== undefined && !(URL.canParse(value) && /^https?:/i.test(value))) {
      // The value may hold a password, and is not shown.
      return wrong(name, "a URL, such as http://127.0.0.1:4318")
    }
  }
  for (const [name, value] of Object.entries(env)) {
    if (numbers.test(name) && !/^\d+$/.test(value)) return wrong(name, "a whole number, such as 10000")
  }
  const protocol = protocols.find((one) => one === (env["OTEL_EXPORTER_OTLP_PROTOCOL"] ?? "http/protobuf"))
  if (protocol === undefined) return wrong("OTEL_EXPORTER_OTLP_PROTOCOL", protocols.join(" or "))
  const taken = Object.fromEntries(exporters.map((name) => [name, "otlp"]))
  return {
    _tag: "Wanted",
    protocol,
    env: { ...taken, OTEL_SERVICE_NAME: "headrace", ...env, OTEL_SDK_DISABLED: "false" }
  }
}
