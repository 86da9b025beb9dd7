import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: [
      "packages/*/test/**/*.test.ts",
      "apps/*/test/**/*.test.ts",
      "examples/*/test/**/*.test.ts",
      "testbed/test/**/*.test.ts",
      "scripts/test/**/*.test.ts"
    ],
    globalSetup: ["testbed/globalSetup.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000
  }
})
