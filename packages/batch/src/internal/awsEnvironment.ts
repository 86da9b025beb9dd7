/**
 * Settings of the AWS tools from an environment that is not the process's, which is the only one that the SDK reads.
 * https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
 */
import type { Options } from "@headrace/s3/S3Store"

type Place = Pick<Options, "endpoint" | "region" | "profile" | "credentials">

const keysOf = (env: Readonly<Record<string, string | undefined>>): Options["credentials"] => {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = env
  return AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined
    ? undefined
    : { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY, sessionToken: AWS_SESSION_TOKEN }
}

/** What the place says itself goes before what the environment says. */
export const into = <A extends Place>(place: A, env: Readonly<Record<string, string | undefined>> | undefined): A => {
  if (env === undefined) return place
  const { AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, AWS_PROFILE, AWS_REGION } = env
  return {
    ...place,
    endpoint: place.endpoint ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL,
    region: place.region ?? AWS_REGION ?? AWS_DEFAULT_REGION,
    profile: place.profile ?? AWS_PROFILE,
    // A profile that is named brings its own keys.
    credentials: place.profile === undefined ? keysOf(env) : undefined
  }
}
