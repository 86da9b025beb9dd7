/**
 * The commands and their options, with what their help says.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Invocation } from "./Invocation.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar(metavar),
    Flag.withDescription(description),
    Flag.optional,
    Flag.map(Option.getOrUndefined)
  )

const texts = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.atLeast(0))

const yes = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withoutNegation, Flag.withDefault(false))

/** Paragraphs as the help prints them: the first line is indented there, the others are indented here. */
const paragraphs = (...texts: ReadonlyArray<string>): string =>
  texts.map((paragraph) => paragraph.replace(/(?=\S)(.{1,96})(?:\s+|$)/g, "$1\n  ").trimEnd()).join("\n\n  ")

const sourceArgument = Argument.String("SOURCE").pipe(
  Argument.withDescription("PATH, - (standard input), file:///…, http(s)://…, glance://CLOUD/IMAGE, s3://…, swift://…")
)

const algorithms = "md5, sha1, sha256, sha512, blake3, xxh128, crc32c, crc64nvme"

const memory = text("memory", "SIZE", "memory for all data in flight (64MiB; at least 4MiB)")
const hasher = text("hasher", "wasm|native", "who computes the digests: hash-wasm in workers, or node:crypto (wasm)")
const state = text("state", "DIR", "where it is noted how far uploads in parts are (the platform's folder for state)")
const progress = text(
  "progress",
  "auto|plain|none",
  "on standard error: live on a terminal, else a line each 10 s (auto)"
)

/** What `upload`, `run` and `repair` have in common. */
const sending = {
  limit: text("limit", "RATE", "50MiB/s, 400Mbit/s, or a timetable: '08:00,50MiB/s 19:00,off' (off)"),
  digest: texts("digest", "LIST", `more digests to compute: ${algorithms}`),
  verify: text("verify", "LEVEL", "transfer, source (read it again), destination (read it back) (transfer)"),
  retries: text("retries", "N", "attempts after the first (5)"),
  stall: text("stall", "DURATION", "no byte moved for so long: the attempt has failed (60s)"),
  answer: text("answer", "DURATION", "after the last byte: how long the answer may take (15m)"),
  memory,
  progress,
  json: yes("json", "standard output carries NDJSON events only"),
  dryRun: yes("dry-run", "sign in, look at every precondition, say what would be done; make nothing"),
  hasher,
  keepFailed: yes("keep-failed", "leave what a failed upload made, to look at it"),
  allowEmpty: yes("allow-empty", "accept a source of 0 bytes"),
  noResume: yes("no-resume", "begin afresh, not where an earlier upload of the same source to the same place ended"),
  state
}

const map = text("map", "FILE", "rules for the properties of images: rename, drop, set, by key pattern")

/** What `run` and `repair` have in common. */
const batch = {
  ...sending,
  concurrency: text("concurrency", "N|auto", "transfers at once; auto climbs while it gets faster (auto)"),
  order: text("order", "listed|largest", "which lines come first (largest)"),
  maxFailures: text("max-failures", "N", "begin no further line after so many have failed"),
  deadline: text("deadline", "DURATION", "begin no further line after so long, and end those that run"),
  only: texts("only", "ID,…", "only the lines with these ids (repeatable)"),
  receipts: text("receipts", "FILE", "write the receipts there, a line each"),
  map,
  metrics: text("metrics", "PORT", "serve metrics as Prometheus reads them on http://127.0.0.1:PORT/metrics")
}

/** How closely what was uploaded is looked at. */
const looking = {
  head: yes("head", "ask for each object by itself, also where a list would do"),
  sample: text("sample", "PERCENT", "read so many of the objects back and compute their digests: 1%, 100%")
}

/** The root command; what is typed is handed to `choose`. */
export const root = (choose: (invocation: Invocation) => void) => {
  const upload = Command.make(
    "upload",
    {
      source: sourceArgument,
      to: texts("to", "DEST", "a destination that must succeed (repeatable): a URI as below, or a path"),
      also: texts("also", "DEST", "a destination on best effort (repeatable): its failure is told, and is no error"),
      expect: texts("expect", "ALGO:HEX", "a digest that the source must have; if not, nothing stays and exit code 3"),
      ...sending
    },
    (given) => Effect.sync(() => choose({ _tag: "Upload", ...given }))
  ).pipe(
    Command.withShortDescription("Send a source to one store or many and prove that it arrived"),
    Command.withDescription(
      paragraphs(
        "Send a source to one store or many, reading it once, and prove that it arrived.",
        "A destination is PATH or file:///… (written beside, synced, renamed), http(s)://… (PUT), " +
          "glance://CLOUD/IMAGE, s3://BUCKET/KEY or swift://CLOUD/CONTAINER/OBJECT.",
        "A cloud is a name in clouds.yaml, or envvars for OS_*. The image is made with the name in the URI; a UUID " +
          "there is an existing image, which must be queued. Parameters of an image: store (repeatable: the service " +
          "copies to the others), disk_format, container_format, visibility, protected, min_disk, min_ram, tag, " +
          "hidden, id, name, property.KEY.",
        "Parameters of s3: endpoint, region, profile, part_size, storage_class, if_none_match; keys and defaults are " +
          "found as the AWS tools find them. Of swift: segment_size, segment_container, content_type.",
        "An upload in parts that was cut off goes on where it was when the same command is typed again; " +
          "headrace gc shows what was left.",
        "Exit codes: 0 verified, or stored where the store can prove nothing; 1 wrong usage or configuration; 2 a " +
          "destination that must succeed failed; 3 the bytes are not the source's, or not the expected ones; 130, 143 and 129 interrupted, " +
          "after cleaning up."
      )
    ),
    Command.withExamples([
      { command: "headrace upload disk.qcow2 --to glance://prod/disk", description: "A file to a new image" },
      {
        command: "zstdcat disk.raw.zst | headrace upload - --to 'glance://prod/disk?disk_format=raw&store=fast'",
        description: "Standard input to a named store"
      },
      {
        command: "headrace upload glance://old/disk --to glance://new/disk --limit 400Mbit/s --json",
        description: "From cloud to cloud, with a limit and events for a program"
      },
      {
        command:
          "headrace upload disk.qcow2 --to glance://prod/disk --to s3://images/disk.qcow2 --also /backup/disk.qcow2",
        description: "One read to three places, of which the last may fail"
      }
    ])
  )

  const sum = Command.make(
    "sum",
    {
      source: sourceArgument,
      digest: texts("digest", "LIST", `digests to compute: ${algorithms} (sha512)`),
      memory,
      progress,
      hasher
    },
    (given) => Effect.sync(() => choose({ _tag: "Sum", ...given }))
  ).pipe(
    Command.withShortDescription("Compute digests of a source, as sha512sum prints them"),
    Command.withDescription(
      paragraphs(
        "Compute digests of a source. One is printed as sha512sum does, HEX and name; several as sha512sum --tag does, " +
          "a line each: SHA512 (name) = HEX."
      )
    )
  )

  const stores = Command.make(
    "stores",
    {
      uri: Argument.String("URI").pipe(
        Argument.withDescription(
          "a destination; of an object's URI also glance://CLOUD, s3://BUCKET, swift://CLOUD/CONTAINER"
        )
      ),
      json: yes("json", "one line of JSON instead of a table")
    },
    (given) => Effect.sync(() => choose({ _tag: "Stores", ...given }))
  ).pipe(
    Command.withShortDescription("Show what a store can do"),
    Command.withDescription(
      "Show what a store can do: its places, the digests it reports, its limits, and how each was learnt."
    )
  )

  const gc = Command.make(
    "gc",
    {
      uri: Argument.String("DEST").pipe(
        Argument.withDescription(
          "a destination, or all of s3://BUCKET, swift://CLOUD/CONTAINER, glance://CLOUD, FOLDER/"
        )
      ),
      olderThan: text("older-than", "DURATION", "only what was begun so long ago: 1d, 12h"),
      delete: yes("delete", "give them up, and delete what they left"),
      state,
      json: yes("json", "a line of JSON for each")
    },
    (given) => Effect.sync(() => choose({ _tag: "Gc", ...given }))
  ).pipe(
    Command.withShortDescription("List what unfinished uploads left, and delete it when told"),
    Command.withDescription(
      paragraphs(
        "List uploads that were begun and not finished: those that the store knows of, and those that are noted here. " +
          "Nothing is deleted without --delete, never a noted upload that a running process here writes, and nothing " +
          "young that only the store knows, unless --older-than says so: it may be being written.",
        "Exit codes: 0 listed, or deleted; 1 wrong usage or configuration; 2 the store could not be asked, or some of it " +
          "could not be deleted."
      )
    )
  )

  const run = Command.make(
    "run",
    {
      manifest: Argument.String("MANIFEST").pipe(
        Argument.withDescription("a file with one transfer a line, as plan writes it; - for standard input")
      ),
      journal: text("journal", "FILE", "where it is noted what was done (MANIFEST.journal)"),
      ...batch,
      skipExisting: text("skip-existing", "name|hash", "leave out images that the destination has already, proven"),
      retryFailed: yes("retry-failed", "do the lines again that have failed"),
      skipInvalid: yes("skip-invalid", "leave lines out that are wrong; the exit code is 2 then"),
      replan: yes("replan", "take over lines that were changed since an earlier run")
    },
    (given) => Effect.sync(() => choose({ _tag: "Run", ...given }))
  ).pipe(
    Command.withShortDescription("Run the transfers of a manifest"),
    Command.withDescription(
      paragraphs(
        "Run the transfers of a manifest, several at once, each proven. The same command goes on where an earlier one " +
          "was cut off: a line that has a verdict is not done again.",
        'A line is {"id":"…","source":"URI","to":["URI"],"also":["URI"],"size":N,"expect":{"sha512":"…"},"properties":{}}; ' +
          "source and to must be there. A blank line and one that begins with # is left out.",
        "Exit codes: 0 every line verified or stored; 1 wrong usage, configuration or manifest; 2 a line failed, was not " +
          "begun or was left out; 3 bytes that are not the source's; 130, 143 and 129 interrupted, after cleaning up."
      )
    )
  )

  const plan = Command.make(
    "plan",
    {
      from: text("from", "URI", "what is to be moved: glance://CLOUD for all its images"),
      to: texts("to", "URI", "where to: glance://CLOUD?store=…, s3://BUCKET/PREFIX/, … (repeatable)"),
      also: texts("also", "URI", "where to on best effort (repeatable)"),
      filter: texts(
        "filter",
        "EXPR",
        "KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY>VALUE, KEY<VALUE (repeatable, all must hold)"
      ),
      skipExisting: text(
        "skip-existing",
        "name|hash|none",
        "leave out what the destination has already, proven (hash)"
      ),
      map,
      limit: text("limit", "RATE", "the rate to estimate the time at: 50MiB/s")
    },
    (given) => Effect.sync(() => choose({ _tag: "Plan", ...given }))
  ).pipe(
    Command.withShortDescription("Write a manifest of what would move from one cloud to another"),
    Command.withDescription(
      paragraphs(
        "Write a manifest of what would move, one transfer a line, to be read, edited, split and run. What is left out is " +
          "there as a comment with the reason. Sizes, requests and an estimate of time are told on standard error.",
        "A destination is glance://CLOUD with parameters for all images, or a place for files: s3://BUCKET/PREFIX/, " +
          "swift://CLOUD/CONTAINER/PREFIX/, FOLDER/. All images are listed before the first line is written.",
        'Rules of --map are one JSON object, {"rename":{"old_*":"new_*"},"drop":["hw_*"],"set":{"key":"value"}}: dropped ' +
          "first, then renamed, then set.",
        "Exit codes: 0 written; 1 wrong usage or configuration, or a cloud to move from that cannot be asked; 2 an image " +
          "that the destination would not take as it is, or a destination that cannot be asked; 130, 143 and 129 interrupted."
      )
    )
  )

  const verify = Command.make(
    "verify",
    {
      receipts: Argument.String("RECEIPTS").pipe(
        Argument.withDescription("receipts as run --receipts or --json wrote them, or a journal; - for standard input")
      ),
      ...looking,
      concurrency: text("concurrency", "N", "objects at once (8)"),
      limit: text("limit", "RATE", "of what is read back (off)"),
      memory,
      progress,
      hasher,
      json: yes("json", "standard output carries NDJSON only: a line for each object")
    },
    (given) => Effect.sync(() => choose({ _tag: "Verify", ...given }))
  ).pipe(
    Command.withShortDescription("Look again at what was uploaded"),
    Command.withDescription(
      paragraphs(
        "Look again at what receipts say was uploaded: whether it is there, with the size and the digests that it had.",
        "Exit codes: 0 all of it is; 1 wrong usage or configuration; 2 something is missing or could not be looked at; 3 " +
          "something is there and differs."
      )
    )
  )

  const repair = Command.make(
    "repair",
    {
      journal: Argument.String("JOURNAL").pipe(Argument.withDescription("the journal of a run: MANIFEST.journal")),
      ...looking,
      ...batch
    },
    (given) => Effect.sync(() => choose({ _tag: "Repair", ...given }))
  ).pipe(
    Command.withShortDescription("Redo what verify or run found wrong"),
    Command.withDescription(
      paragraphs(
        "Look at everything that a run has brought to its end, as verify does, and do again what failed, is missing or " +
          "differs. What is right is not touched, and nothing is deleted.",
        "With --json, besides the events of run: verification for each object, looked with their counts, and renewed for " +
          "each property that named an image which was made anew.",
        "Exit codes: 0 all of it is right now; 1 wrong usage or configuration; 2 something has failed or could not be " +
          "looked at; 3 the bytes are not those of the source."
      )
    )
  )

  const report = Command.make(
    "report",
    {
      receipts: Argument.String("RECEIPTS").pipe(
        Argument.withDescription("receipts or events as run wrote them, or a journal; - for standard input")
      ),
      html: text("html", "FILE", "write a page with plots there, complete in itself"),
      json: yes("json", "the same as one line of JSON")
    },
    (given) => Effect.sync(() => choose({ _tag: "Report", ...given }))
  ).pipe(
    Command.withShortDescription("Sum up receipts, for people"),
    Command.withDescription(
      paragraphs(
        "Sum up what receipts say: how much, how fast, what failed and why, and what took longest. Where a line has " +
          "several receipts, the last says how it stands.",
        "Exit codes: 0 reported, also where the receipts tell of failures; 1 the receipts cannot be read, or the page " +
          "not be written."
      )
    )
  )

  return Command.make("headrace").pipe(
    Command.withDescription("Upload disk images and other large objects, and prove that the right bytes arrived."),
    Command.withSubcommands([upload, run, plan, verify, repair, report, gc, stores, sum])
  )
}
