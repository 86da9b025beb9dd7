/**
 * The image service of the demo, in a process of its own, as a cloud's would be. It hashes what it gets and throws the
 * bytes away. It ends when the process that started it does.
 */
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"

// A terminal sends Ctrl-C, and its own end, to every process in front; who uploads wants to tidy up here first.
for (const signal of ["SIGHUP", "SIGINT"] as const) process.on(signal, () => {})

const glance = await EmbeddedGlance.start({
  manner: "uwsgi",
  data: "discard",
  stores: [{ id: "fast", default: true }, { id: "archive" }]
})
process.on("disconnect", () => {
  void glance.close().then(() => process.exit(0))
})
process.send?.({ url: glance.url })
