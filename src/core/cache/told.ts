/**
 * What callers said of hits, kept in the collection of the cache beside its entries: as durable as these are. It lies in
 * parts, by the keys of the entries, so that a word about one is not written with those about all others. What was said of
 * clusters and of everything is the sum of the parts.
 */
import type { Collection } from "../collection/collection.ts"
import { settled } from "../collection/settled.ts"
import { feedbackKey, SideRecord } from "./side-record.ts"
import { CacheFeedback, type Told as Counts, type FeedbackNote, type FeedbackState } from "./verify/feedback.ts"

const PARTS = 256

/** Keys of entries are hashes, as base64url. */
const partOf = (entry: string): number => Buffer.from(entry.slice(0, 2), "base64url")[0] ?? 0

/** One part, and the record that it lies in. */
class Part {
  readonly #record: SideRecord
  readonly feedback: CacheFeedback

  constructor(collection: Collection, key: string, kept?: unknown) {
    this.feedback = kept === undefined ? new CacheFeedback() : CacheFeedback.fromJSON(kept)
    this.#record = new SideRecord(collection, key, kept !== undefined, () => this.feedback.toJSON())
  }

  /** Keeps what was said; durable when this resolves. */
  keep(): Promise<void> {
    return this.#record.keep()
  }
}

const NOTHING: Counts = { confirmed: 0, rejected: 0, expected: 0 }

const sum = (a: Counts = NOTHING, b: Counts): Counts => ({
  confirmed: a.confirmed + b.confirmed,
  rejected: a.rejected + b.rejected,
  expected: a.expected + b.expected
})

/** All parts as one. */
const joined = (states: ReadonlyArray<FeedbackState>): CacheFeedback => {
  const clusters: Record<string, Counts> = {}
  let all = NOTHING
  for (const state of states) {
    all = sum(all, state.all)
    for (const [name, counts] of Object.entries(state.clusters)) clusters[name] = sum(clusters[name], counts)
  }
  const entries = Object.assign({}, ...states.map((state) => state.entries))
  return CacheFeedback.fromJSON({ version: 1, all, clusters, entries } satisfies FeedbackState)
}

export class Told {
  readonly #collection: Collection
  readonly #parts: Map<number, Part>
  /** All that was said. */
  readonly feedback: CacheFeedback

  private constructor(collection: Collection, parts: Map<number, Part>) {
    this.#collection = collection
    this.#parts = parts
    this.feedback = joined(Array.from(parts.values(), (part) => part.feedback.toJSON()))
  }

  static async in(collection: Collection): Promise<Told> {
    const parts = new Map<number, Part>()
    for (let part = 0; part < PARTS; part++) {
      const key = feedbackKey(part)
      const kept = await settled(collection.get(key))
      if (kept !== undefined) parts.set(part, new Part(collection, key, kept.payload))
    }
    return new Told(collection, parts)
  }

  /** Takes note of what a caller said; durable when this resolves. Of an entry that is gone nothing is remembered but the sums. */
  note(note: FeedbackNote, isThere: boolean): Promise<void> {
    this.feedback.note(note)
    const number = partOf(note.entry)
    const part = this.#parts.get(number) ?? new Part(this.#collection, feedbackKey(number))
    this.#parts.set(number, part)
    part.feedback.note(note)
    if (!isThere) this.forget(note.entry)
    return part.keep()
  }

  /** Writes again what was noted of an entry, after that failed; durable when this resolves. */
  async keep(entry: string): Promise<void> {
    await this.#parts.get(partOf(entry))?.keep()
  }

  /** Forgets an entry that is gone; what it said of its cluster and of everything stays. */
  forget(entry: string): void {
    this.feedback.forget(entry)
    this.#parts.get(partOf(entry))?.feedback.forget(entry)
  }
}
