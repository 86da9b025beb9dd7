/**
 * Faults in the application, as data: what goes wrong with the next upload (or another request), when, and what
 * becomes of the image. They are consumed in order, one a request.
 */
import type { HeaderList } from "./httpHead.ts"

/**
 * When in the body a fault strikes: before its first byte, after so many bytes, or after its last.
 *
 * @since 0.1.0
 * @category models
 */
export type Moment = "before" | "after" | { readonly afterBytes: number }

/**
 * What the image is afterwards. A `saving` that ends says how long it lasts, and as what it ends. Of a `stage`, `saving`
 * is `uploading`, and `active` that all is staged.
 *
 * @since 0.1.0
 * @category models
 */
export type Aftermath =
  | "untouched"
  | "queued"
  | "poisoned"
  | "saving"
  | "active"
  | "deleted"
  | { readonly status: "saving"; readonly forMs: number; readonly then: "active" | "queued" | "deleted" }

/**
 * Which requests a fault is for. Default `upload`: `PUT …/file`. `stage` is `PUT …/stage`, `import` is
 * `POST …/import`, `tasks` is `GET …/tasks`.
 *
 * @since 0.1.0
 * @category models
 */
export type Operation =
  | "upload"
  | "create"
  | "show"
  | "delete"
  | "update"
  | "list"
  | "download"
  | "stage"
  | "import"
  | "tasks"
  | "any"

/**
 * What becomes of an import behind its 202.
 *
 * - `fails`: its task fails before the first store, as in a plugin; the image goes on naming the stores it was for, and one
 *   of staged data stays `importing`.
 * - `hangs`: its task is `processing` and the image locked, for ever, as after a service that was killed.
 * - `orphaned`: as `hangs`, but the task's record is gone; the next import takes the lock away.
 * - `lost`: neither task nor lock nor any trace of it is left.
 *
 * @since 0.1.0
 * @category models
 */
export type ImportEnd = "fails" | "hangs" | "orphaned" | "lost"

interface Common {
  /** Default `upload`. */
  readonly on?: Operation
}

/**
 * What goes wrong with one request.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = Common &
  (
    | {
        /** Nothing: this request passes. */
        readonly type: "none"
      }
    | {
        /** An answer of somebody's choice. Without `requestId` it looks like a proxy's. */
        readonly type: "answer"
        readonly at: Moment
        readonly status: number
        readonly headers?: HeaderList
        readonly body?: string
        /** Default false: an answer from in front of the application has no `x-openstack-request-id`. */
        readonly requestId?: boolean
        /** Default `untouched` before the body, `queued` otherwise. */
        readonly image?: Aftermath
      }
    | {
        /** The connection ends without an answer; `hang` stays open, silent and unread. */
        readonly type: "drop"
        readonly at: Moment
        readonly how: "reset" | "close" | "hang"
        /** Default `untouched` before the body, `queued` otherwise. `active` after the body is the lost 204. */
        readonly image?: Aftermath
      }
    | {
        /** Nothing is read (or answered) for so long, then all goes on. */
        readonly type: "delay"
        readonly at: Moment
        readonly ms: number
      }
    | {
        /** The body is read no faster than this. */
        readonly type: "trickle"
        readonly bytesPerSecond: number
      }
    | {
        /**
         * One byte of what is stored, and so of what is digested, differs from what was sent. `on: "import"`: from what
         * was staged, as after a plugin that changes it.
         */
        readonly type: "corrupt"
        readonly offset: number
      }
    | {
        /** Only so many bytes are stored, and the answer is 204. */
        readonly type: "truncate"
        readonly bytes: number
      }
    | {
        /** The record says something else than what was stored. */
        readonly type: "report"
        readonly size?: number | null
        readonly checksum?: string | null
        readonly hashAlgo?: string | null
        readonly hashValue?: string | null
      }
    | {
        /** The data lands in this store whatever the request says. */
        readonly type: "store"
        readonly id: string
      }
    | {
        /** Somebody deletes the image. */
        readonly type: "delete"
        readonly at: Moment
      }
    | {
        /** An import is taken and comes to nothing; `on` has to be `import`. */
        readonly type: "import"
        readonly ends: ImportEnd
      }
    | {
        /** Another upload to the same image wins the race with these bytes: 410 for this one. */
        readonly type: "otherWriter"
        readonly bytes: Uint8Array
      }
  )

/** Hands out the faults that wait, in order, to the operation that they are for. */
export class FaultQueue {
  #waiting: Array<Fault>
  constructor(faults: ReadonlyArray<Fault>) {
    this.#waiting = [...faults]
  }

  get length(): number {
    return this.#waiting.length
  }

  push(...faults: ReadonlyArray<Fault>): void {
    this.#waiting.push(...faults)
  }

  clear(): void {
    this.#waiting = []
  }

  take(operation: Operation): Fault | undefined {
    const at = this.#waiting.findIndex((fault) => {
      const on = fault.on ?? "upload"
      return on === operation || on === "any"
    })
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0]
  }
}

/** Whether a fault strikes now. `bytes` is how many have come; `end` that the body is complete. */
export const strikes = (at: Moment, bytes: number, end: boolean): boolean =>
  at === "before" ? bytes === 0 && !end : at === "after" ? end : bytes >= at.afterBytes
