/**
 * One transfer that runs: its events are what the pace is set by.
 */
import type { Progress, TransferEvent } from "@headrace/core/TransferEvent"
import type { Controller } from "./controller.ts"
import type { Stake } from "./place.ts"
import * as Trouble from "./trouble.ts"

/**
 * Bytes handed to a socket prove nothing of the service behind it before they are more than sockets and proxies hold.
 */
const provenBytes = 8 * 1024 * 1024

/** The rest that is given to a service which has refused a transfer for good. */
const restMs = 1000

const files = "file://"

/** The place of a URI: what is one service, and is busy or away as one. */
export const placeOf = (uri: string): string => {
  const parts = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(uri)
  if (parts === null) return uri === "-" ? "-" : files
  const scheme = parts[1]!.toLowerCase()
  if (scheme === "file") return files
  const host = parts[2]!.slice(parts[2]!.lastIndexOf("@") + 1)
  return `${scheme}://${scheme === "http" || scheme === "https" ? host.toLowerCase() : host}`
}

export class Ticket {
  readonly #controller: Controller
  readonly #names: ReadonlyArray<string>
  readonly #size: number | undefined
  readonly #stakes: ReadonlyArray<Stake>
  #source: string | undefined
  #ended = false

  constructor(controller: Controller, names: ReadonlyArray<string>, size: number | undefined) {
    this.#controller = controller
    this.#names = names
    this.#size = size
    this.#stakes = controller.begin(names)
  }

  event(event: TransferEvent): void {
    if (this.#ended) return
    switch (event.type) {
      case "start":
        this.#source = placeOf(event.source.uri)
        return
      case "progress":
        return this.#progress(event)
      case "retry":
        return this.#failed(this.#blamed(event.uri, event.ofSource), { ...event, retryable: true }, event.waitMs)
      case "verdict":
        if (event.status === "verified" || event.status === "stored") {
          const stake = this.#at(placeOf(event.uri))
          if (stake !== undefined) this.#controller.succeeded(stake)
        }
        return
      case "receipt":
        this.#source ??= placeOf(event.source.uri)
        for (const { error, status, uri } of event.destinations) {
          if (status === "failed" && error !== undefined) this.#failed(this.#blamed(uri, error.ofSource), error, restMs)
        }
        // What was too short for any progress to be told.
        if (event.destinations.some(({ status }) => status === "verified" || status === "stored")) {
          for (const stake of this.#stakes) this.#count(stake, event.source.size ?? this.#size ?? 0)
        }
    }
  }

  end(outcome: "good" | "failed" | "requeued"): void {
    if (this.#ended) return
    this.#ended = true
    this.#controller.end(this.#names, this.#stakes, outcome)
  }

  #at(name: string | undefined): Stake | undefined {
    return this.#stakes.find(({ place }) => place.name === name)
  }

  #blamed(uri: string, ofSource: true | undefined): Stake | undefined {
    return this.#at(ofSource === true ? this.#source : placeOf(uri))
  }

  #failed(stake: Stake | undefined, failure: Trouble.Failure, waitMs: number): void {
    // A file that cannot be read says nothing of the others.
    if (stake === undefined || stake.place.name === files) return
    const trouble = Trouble.of(failure)
    if (trouble !== undefined) this.#controller.failed(stake, trouble, failure, waitMs)
  }

  #progress({ destinations, read }: Progress): void {
    for (const stake of this.#stakes) {
      const there = destinations.filter(({ uri }) => placeOf(uri) === stake.place.name)
      const moved = there.length === 0 ? read : Math.max(...there.map(({ sent }) => sent))
      const more = moved - stake.moved
      stake.moved = moved
      this.#count(stake, moved)
      if (more <= 0) continue
      stake.sinceFailure += more
      const proven =
        stake.trouble === undefined ||
        there.length === 0 ||
        stake.sinceFailure >= provenBytes ||
        there.some(({ acknowledged }) => acknowledged > 0)
      if (proven) this.#controller.succeeded(stake)
    }
  }

  /** Bytes that are sent once more are not work done. */
  #count(stake: Stake, bytes: number): void {
    if (bytes <= stake.counted) return
    stake.place.moved(bytes - stake.counted, this.#controller.now())
    stake.counted = bytes
  }
}
