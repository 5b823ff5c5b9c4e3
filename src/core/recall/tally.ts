/** Bytes, classes and encoders of the items of a pool, to the item, whoever adds and removes them. */
import type { RowWatcher, Store } from "../store/store.ts"
import { sweep } from "./sweep.ts"

interface Readable {
  readonly store: Store
  readonly bytesOf: (row: number) => number
  readonly classOf: (row: number) => string | undefined
  readonly encoderOf: (row: number) => string | undefined
}

export class Tally implements RowWatcher {
  readonly #items: Readable
  /** Rows below this one have been met: those that come there are counted as they come. */
  #met = 0
  bytes = 0
  /** Items of each class; those without one are not counted. */
  readonly classes = new Map<string, number>()
  /** Items that each encoder made the embeddings of. */
  readonly encoders = new Map<string, number>()

  constructor(items: Readable) {
    this.#items = items
  }

  readonly came = (row: number): void => {
    if (row < this.#met) this.#count(row, 1)
  }

  readonly goes = (row: number): void => {
    if (row < this.#met) this.#count(row, -1)
  }

  /** Counts what is there, with `visit` for each row; what comes and goes meanwhile is counted as well. */
  async countAll(visit: (row: number) => void): Promise<void> {
    const met = (row: number) => {
      this.#count(row, 1)
      visit(row)
    }
    await sweep(this.#items.store, met, {
      passed: (bound) => {
        this.#met = bound
      }
    })
  }

  #count(row: number, sign: 1 | -1): void {
    this.bytes += sign * this.#items.bytesOf(row)
    tallied(this.classes, this.#items.classOf(row), sign)
    tallied(this.encoders, this.#items.encoderOf(row), sign)
  }
}

const tallied = (counts: Map<string, number>, name: string | undefined, sign: 1 | -1): void => {
  if (name === undefined) return
  const count = (counts.get(name) ?? 0) + sign
  if (count === 0) counts.delete(name)
  else counts.set(name, count)
}
