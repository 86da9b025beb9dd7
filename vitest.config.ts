import { defineConfig } from "vitest/config"

const all = [
  "packages/*/test/**/*.test.ts",
  "apps/*/test/**/*.test.ts",
  "examples/*/test/**/*.test.ts",
  "testbed/test/**/*.test.ts",
  "scripts/test/**/*.test.ts"
]

/** Wait for real services, or try thousands of cases, and mind no company. The others watch how long things take. */
const inCompany = [
  "packages/{s3,swift}/test/**/*.test.ts",
  "packages/*/test/Conformance*.test.ts",
  "packages/*/test/*property.test.ts",
  "packages/glance/test/{copies,staging}*.test.ts",
  "packages/fs/test/FileStore.resuming.test.ts",
  "packages/core/test/FanOut.test.ts",
  "packages/headrace/test/{installed,real-images,real-many,real-resume,ways}.test.ts",
  "examples/*/test/**/*.test.ts"
]

/** Mostly wait for servers of their own, and watch the time with some patience. */
const inPairs = [
  "packages/core/test/{Transfer,Copies,Parts,Resume}.test.ts",
  "packages/http/test/failures.test.ts",
  "packages/node/test/{FileSource,HttpSource,NodeTransport.connections,StdinSource}.test.ts",
  "packages/glance/test/{failures,GlanceSource,pipelines,scenarios,several,unfinished}.test.ts",
  "packages/keystone/test/*.test.ts",
  "packages/testkit/test/{EmbeddedGlance,FaultProxy}*.test.ts"
]

/** Processes that are started and killed, by the dozen; they would be the wrong company for those above. */
const batches = [
  "packages/batch/test/**/*.test.ts",
  "packages/headrace/test/command-{run,run-crash,run-kill,migrate,plan,repair,report,verify}.test.ts",
  "packages/headrace/test/{real-verify,real-batch-kill,run,telemetry,batch-view}.test.ts",
  "packages/glance/test/{GlanceImages,GlanceUsage}.test.ts",
  "packages/headrace/test/command-{options,usage,many,gc}.test.ts",
  "testbed/test/Testbed.test.ts",
  "scripts/test/Migrate.test.ts"
]

const common = {
  globalSetup: ["testbed/globalSetup.ts"],
  testTimeout: 60_000,
  hookTimeout: 120_000
}

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: "alone",
          include: all,
          exclude: [...inCompany, ...inPairs, ...batches],
          maxWorkers: 1,
          sequence: { groupOrder: 0 }
        }
      },
      { test: { ...common, name: "in pairs", include: inPairs, maxWorkers: 2, sequence: { groupOrder: 3 } } },
      { test: { ...common, name: "batches", include: batches, maxWorkers: 3, sequence: { groupOrder: 2 } } },
      { test: { ...common, name: "in company", include: inCompany, maxWorkers: 3, sequence: { groupOrder: 1 } } }
    ]
  }
})
