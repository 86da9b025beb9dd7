/**
 * The service's address where none is given: the SDK reads it from the environment and from the profile that the environment
 * names, and does not ask a profile that is named in the program. So that is asked here, in the order of the AWS tools
 * (https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html).
 */
import { loadConfig } from "@smithy/core/config"
import type { Place } from "./target.ts"

const given = ({ AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 }: Readonly<Record<string, string | undefined>>) =>
  AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL

const selectors: Parameters<typeof loadConfig<string | undefined>>[0] = {
  environmentVariableSelector: given,
  configFileSelector: (profile, config) => {
    const { endpoint_url: ofAll, services } = profile
    const ofService = services === undefined ? undefined : config?.[`services.${services}`]?.["s3.endpoint_url"]
    return ofService ?? ofAll
  },
  default: undefined
}

/** Nothing where it is for the SDK to find. */
export const endpointOf = async ({ endpoint, profile }: Place): Promise<string | undefined> => {
  if (endpoint !== undefined || profile === undefined) return endpoint
  return loadConfig(selectors, { profile })()
}
