/** Bytes and classes of the items of a pool, to the item, whoever adds and removes them. */
import type { RowWatcher, Store } from "../store/store.ts"
import { sweep } from "./sweep.ts"

interface Readable {
  readonly store: Store
  readonly bytesOf: (row: number) => number
  readonly classOf: (row: number) => string | undefined
}

export class Tally implements RowWatcher {
  readonly #items: Readable
  /** Rows below this one have been met: those that come there are counted as they come. */
  #met = 0
  bytes = 0
  /** Items of each class; those without one are not counted. */
  readonly classes = new Map<string, number>()

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
    const label = this.#items.classOf(row)
    if (label === undefined) return
    const count = (this.classes.get(label) ?? 0) + sign
    if (count === 0) this.classes.delete(label)
    else this.classes.set(label, count)
  }
}
