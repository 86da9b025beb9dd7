#!/usr/bin/env node
/**
 * The command's entry: nothing is loaded before it is needed, and what was compiled once is kept.
 *
 * @since 0.1.0
 */
import { enableCompileCache } from "node:module"

enableCompileCache?.()
const { main } = await import("./cli/Main.ts")
await main(process.argv.slice(2))
