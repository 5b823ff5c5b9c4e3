/** What callers said of hits, kept in the collection of the cache beside its entries: as durable as these are. */
import type { Collection } from "../collection/collection.ts"
import { settled } from "../collection/settled.ts"
import { CacheFeedback, type FeedbackNote } from "./verify/feedback.ts"

/** No entry of a cache has it: theirs are in namespaces. */
const KEY = "feedback"

export class Told {
  readonly #collection: Collection
  readonly feedback: CacheFeedback
  #isKept: boolean
  /** The write under way, and that which waits for it with all that was said since. */
  #writing: Promise<void> | undefined
  #waiting: Promise<void> | undefined

  private constructor(collection: Collection, feedback: CacheFeedback, isKept: boolean) {
    this.#collection = collection
    this.feedback = feedback
    this.#isKept = isKept
  }

  static async in(collection: Collection): Promise<Told> {
    const kept = await settled(collection.get(KEY))
    return new Told(
      collection,
      kept === undefined ? new CacheFeedback() : CacheFeedback.fromJSON(kept.payload),
      kept !== undefined
    )
  }

  /** Takes note of what a caller said; durable when this resolves. Many that come together share a write. */
  note(note: FeedbackNote): Promise<void> {
    this.feedback.note(note)
    if (this.#writing === undefined) return this.#write()
    this.#waiting ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#waiting = undefined
        return this.#write()
      })
    return this.#waiting
  }

  #write(): Promise<void> {
    const { dimensions } = this.#collection.shape
    const vector = Float32Array.from({ length: dimensions }, () => 1)
    const entry = { key: KEY, vector, payload: this.feedback.toJSON() }
    const write = this.#isKept ? this.#collection.update(entry) : this.#collection.add(entry)
    this.#writing = settled(write)
      .then(() => {
        this.#isKept = true
      })
      .finally(() => {
        this.#writing = undefined
      })
    return this.#writing
  }
}
