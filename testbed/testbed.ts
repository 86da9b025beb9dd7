/**
 * The testbed: real OpenStack services and a real S3 on free loopback ports, for tests, benchmarks and trials by hand.
 * `start` starts the ordinary set and says where it is in environment variables (see README.md); a test that needs
 * a service of its own making starts that with `startGlance`, `startKeystone`, `startSwift` or `startVersitygw`.
 */
import { startGlance } from "./Glance.ts"
import { images, install } from "./Installation.ts"
import { startKeystone } from "./Keystone.ts"
import { startSwift } from "./Swift.ts"
import { NoGoError, startVersitygw, type Versitygw } from "./Versitygw.ts"

export { type Glance, type GlanceOptions, startGlance } from "./Glance.ts"
export { type Images, type Installation, NoPythonError, images, install } from "./Installation.ts"
export { type Keystone, type KeystoneOptions, startKeystone } from "./Keystone.ts"
export type { Service } from "./Service.ts"
export { startSwift, type Swift, type SwiftOptions } from "./Swift.ts"
export { NoGoError, startVersitygw, type Versitygw } from "./Versitygw.ts"

/** The ordinary set, running. */
export interface Testbed {
  /** `HEADRACE_TESTBED_*`. */
  readonly env: Readonly<Record<string, string>>
  /** What could not be had, and why. */
  readonly missing: ReadonlyArray<string>
  readonly stop: () => Promise<void>
}

const s3Env = (s3: Versitygw): Readonly<Record<string, string>> => ({
  HEADRACE_TESTBED_S3: s3.url,
  HEADRACE_TESTBED_S3_BUCKET: s3.bucket,
  HEADRACE_TESTBED_S3_ACCESS_KEY: s3.accessKey,
  HEADRACE_TESTBED_S3_SECRET_KEY: s3.secretKey
})

/**
 * Starts a Glance with tokens `USER:PROJECT:ROLE`, a Keystone, a second Glance that asks it, a Swift, and a versitygw.
 * Where Go cannot build that one it is missing, unless it is `required`.
 */
export const start = async ({ required = false }: { readonly required?: boolean } = {}): Promise<Testbed> => {
  const { venv } = await install()
  const running: Array<{ readonly stop: () => Promise<void> }> = []
  const kept = async <A extends { readonly stop: () => Promise<void> }>(service: Promise<A>): Promise<A> => {
    const started = await service
    running.push(started)
    return started
  }
  const stop = async (): Promise<void> => {
    await Promise.all(running.map((service) => service.stop()))
  }
  const outcome = await Promise.allSettled([
    kept(startGlance()),
    kept(startKeystone()).then(async (keystone) => [keystone, await kept(startGlance({ auth: keystone }))] as const),
    kept(startSwift()),
    kept(startVersitygw()).catch((error: unknown) => {
      if (required || !(error instanceof NoGoError)) throw error
      return error
    })
  ])
  const [fake, real, swift, s3] = outcome
  if (
    fake.status === "rejected" ||
    real.status === "rejected" ||
    swift.status === "rejected" ||
    s3.status === "rejected"
  ) {
    await stop()
    throw outcome.find((one) => one.status === "rejected")?.reason
  }
  const [keystone, glance] = real.value
  const image = await images()
  return {
    stop,
    missing: s3.value instanceof NoGoError ? [`a real S3, because ${s3.value.message}`] : [],
    env: {
      ...(s3.value instanceof NoGoError ? {} : s3Env(s3.value)),
      HEADRACE_TESTBED_VENV: venv,
      HEADRACE_TESTBED_GLANCE: fake.value.url,
      HEADRACE_TESTBED_FAKE_TOKEN: "alice:p-alice:member",
      HEADRACE_TESTBED_READER_TOKEN: "rita:p-alice:reader",
      HEADRACE_TESTBED_OTHER_TOKEN: "oscar:p-other:member",
      HEADRACE_TESTBED_ADMIN_TOKEN: "root:p-admin:admin",
      HEADRACE_TESTBED_KEYSTONE: keystone.url,
      HEADRACE_TESTBED_KEYSTONE_GLANCE: glance.url,
      HEADRACE_TESTBED_PROJECT_ID: keystone.projectId,
      HEADRACE_TESTBED_USER_ID: keystone.userId,
      HEADRACE_TESTBED_APP_CREDENTIAL_ID: keystone.appCredential.id,
      HEADRACE_TESTBED_APP_CREDENTIAL_SECRET: keystone.appCredential.secret,
      HEADRACE_TESTBED_SWIFT_AUTH_URL: swift.value.authUrl,
      HEADRACE_TESTBED_SWIFT_USER: swift.value.user,
      HEADRACE_TESTBED_SWIFT_KEY: swift.value.key,
      HEADRACE_TESTBED_SWIFT_STORAGE_URL: swift.value.storageUrl,
      HEADRACE_TESTBED_SWIFT_S3: swift.value.url,
      HEADRACE_TESTBED_QCOW2: image.qcow2,
      HEADRACE_TESTBED_KERNEL: image.kernel,
      HEADRACE_TESTBED_INITRD: image.initrd
    }
  }
}
