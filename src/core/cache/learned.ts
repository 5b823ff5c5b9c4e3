/**
 * What a cache learned from reuse, kept in its collection beside the entries: at most once a minute while it is looked into,
 * and when it is closed. It may be lost and costs no more than learning it again, so what is damaged counts for nothing.
 */

import { isRecord } from "../checked.ts"
import type { Collection } from "../collection/collection.ts"
import { settled } from "../collection/settled.ts"
import { LEARNED, SideRecord } from "./side-record.ts"

const VERSION = 1
/** Milliseconds from one write to the next at least. */
const EVERY_MS = 60_000

/** What learns something, and tells it as plain JSON. */
interface Learner {
  readonly toJSON: () => object
}

/** What learns in this cache; what another one learned of the rest is left as it is. */
interface Learners {
  readonly size: Learner | undefined
  readonly ttl: Learner | undefined
}

/** What an earlier cache kept, whatever it is. */
type Kept = Readonly<Partial<Record<keyof Learners, unknown>>>

export class Learned {
  readonly #collection: Collection
  readonly #isKept: boolean
  readonly #clock: () => number
  #record: SideRecord | undefined
  #due: number
  /** As it was read. */
  readonly kept: Kept
  /** Writes that failed. */
  failures = 0

  private constructor(collection: Collection, clock: () => number, record: { readonly payload: unknown } | undefined) {
    this.#collection = collection
    this.#clock = clock
    this.#due = clock() + EVERY_MS
    this.#isKept = record !== undefined
    const payload = record?.payload
    this.kept =
      isRecord(payload) && payload["version"] === VERSION ? { size: payload["size"], ttl: payload["ttl"] } : {}
  }

  static async in(collection: Collection, clock: () => number): Promise<Learned> {
    return new Learned(collection, clock, await settled(collection.get(LEARNED)))
  }

  /** Keeps what these learn from now on. */
  from({ size, ttl }: Learners): void {
    if (size === undefined && ttl === undefined) return
    this.#record = new SideRecord(this.#collection, LEARNED, this.#isKept, () => ({
      version: VERSION,
      size: size?.toJSON() ?? this.kept.size,
      ttl: ttl?.toJSON() ?? this.kept.ttl
    }))
  }

  /** Takes note of a look-up, from which something may have been learned. */
  lookedUp(): void {
    if (this.#record === undefined) return
    const now = this.#clock()
    if (now < this.#due) return
    this.#due = now + EVERY_MS
    this.#keep(this.#record)
  }

  /** Keeps it for the last time; settles when that is done or has failed. */
  async close(): Promise<void> {
    if (this.#record !== undefined) await this.#keep(this.#record)
  }

  /** No caller waits for it: a database that was closed first, or a full disk, loses what would be learned again. */
  #keep(record: SideRecord): Promise<void> {
    return record.keep().catch(() => {
      this.failures++
    })
  }
}
