/**
 * A record in the collection of a cache that is none of its entries: in no namespace, and as durable as these are. Many who
 * ask for it to be kept at the same time share a write.
 */
import type { Collection } from "../collection/collection.ts"
import { settled } from "../collection/settled.ts"

/** Keys of these records. No entry of a cache has such a key: theirs are in namespaces. */
export const LEARNED = "learned"
export const feedbackKey = (part: number): string => `feedback ${part}`
export const isSideKey = (key: string): boolean => key === LEARNED || /^feedback \d+$/.test(key)

export class SideRecord {
  readonly #collection: Collection
  readonly #key: string
  readonly #state: () => object
  #isKept: boolean
  /** The write under way, and that which waits for it with all that came since. */
  #writing: Promise<void> | undefined
  #waiting: Promise<void> | undefined

  /** `state` is what it is to hold at the time of a write, as JSON; `isKept` whether the collection has the key. */
  constructor(collection: Collection, key: string, isKept: boolean, state: () => object) {
    this.#collection = collection
    this.#key = key
    this.#isKept = isKept
    this.#state = state
  }

  /** Writes the state; durable when this resolves. */
  keep(): Promise<void> {
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
    const entry = { key: this.#key, vector, payload: this.#state() }
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
