/**
 * A program of its own process: many small images one after the other, verified as far as the service can be.
 *
 *   node many.js FILE COUNT URL
 */
import { upload } from "headrace"

const [file = "", count = "0", url = ""] = process.argv.slice(2)

for (let i = 0; i < Number(count); i++) {
  await upload(file, { to: `glance://envvars/small-${i}`, env: { OS_AUTH_TYPE: "none", OS_ENDPOINT: url } }).receipt
}
