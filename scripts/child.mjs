/**
 * Programs that are run while a checkout is prepared: whoever is told to end takes them along. One that went on alone
 * would write into what the next process, which finds the lock stale, prepares anew.
 */
import { spawn } from "node:child_process"
import { say } from "./lock.mjs"

const signals = ["SIGINT", "SIGTERM", "SIGHUP"]

/** Runs a program to its end. After a signal it fails with that `signal`, when the program has ended. */
export const runChild = (name, command, args, options) =>
  new Promise((resolve, reject) => {
    let told
    const listener = (signal) => {
      told = signal
      child.kill(signal)
    }
    for (const signal of signals) process.on(signal, listener)
    const child = spawn(command, args, options)
    const end = (error) => {
      for (const signal of signals) process.off(signal, listener)
      if (error === undefined && told === undefined) return resolve()
      reject(told === undefined ? error : Object.assign(new Error(`interrupted (${told})`), { signal: told }))
    }
    child.once("error", end)
    child.once("exit", (code, signal) =>
      end(code === 0 ? undefined : new Error(`${name} ended with ${signal ?? code}`))
    )
  })

/** Says what went wrong, and ends as it went: by a signal, or with 1. */
export const fail = (error) => {
  say(error.message)
  process.exitCode = 1
  if (error.signal !== undefined) process.kill(process.pid, error.signal)
}
