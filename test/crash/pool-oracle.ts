/** What the writer of a pool said, and which items may be there when it is dead. */

export type PoolCall = "judged" | "all" | "removed"

/** A call on these items: judged and added one after another, added all or none, or removed. */
export interface PoolBegun {
  readonly begun: number
  readonly call: PoolCall
  readonly numbers: ReadonlyArray<number>
}

export type PoolEvent = PoolBegun | { readonly acked: number }

/** What the measure of the writer says of an item: three of four are coherent. */
export const isCoherent = (number: number): boolean => number % 4 !== 1

/** How often something went wrong that must not. */
export interface PoolLosses {
  /** Acknowledged items that are not there, though nothing removed them. */
  lost: number
  /** Items that are there, though they were refused, gave way or were removed. */
  resurrected: number
  /** Calls that added other items than the first of them, or some of those that are all or none. */
  partial: number
}

export class PoolOracle {
  /** Items by acknowledged calls alone, the oldest first. */
  #order: ReadonlyArray<number>
  readonly #maxSize: number
  #open: PoolBegun | undefined
  acked = 0

  constructor(order: ReadonlyArray<number>, maxSize: number) {
    this.#order = order
    this.#maxSize = maxSize
  }

  get order(): ReadonlyArray<number> {
    return this.#order
  }

  take(event: PoolEvent): void {
    if ("begun" in event) {
      this.#open = event
      return
    }
    const { call, numbers } = this.#open!
    this.#open = undefined
    this.acked++
    if (call === "removed") this.#order = this.#order.filter((number) => !numbers.includes(number))
    const added = addedBy(call, numbers)
    if (added.length === 0) return
    const order = [...this.#order, ...added]
    this.#order = order.slice(Math.max(0, order.length - this.#maxSize))
  }

  /** Compares the items that are there, the oldest first, with those that may be, and knows them from then on. */
  settle(found: ReadonlyArray<number>): PoolLosses {
    const there = new Set(found)
    const { call, numbers } = this.#open ?? { call: "judged", numbers: [] }
    const wanted = addedBy(call, numbers)
    const came = wanted.filter((number) => there.has(number))
    const isWhole =
      call === "all"
        ? came.length === 0 || came.length === wanted.length
        : came.every((number, i) => number === wanted[i])
    // Nobody gives way before what it gives way to is there.
    const gone = this.#order.length + came.length - this.#maxSize
    const lost = this.#order.filter(
      (number, i) => !there.has(number) && i >= gone && !(call === "removed" && numbers.includes(number))
    )
    const known = new Set([...this.#order, ...wanted])
    const resurrected = found.filter((number) => !known.has(number))
    this.#open = undefined
    this.#order = found
    return { lost: lost.length, resurrected: resurrected.length, partial: isWhole ? 0 : 1 }
  }
}

const addedBy = (call: PoolCall, numbers: ReadonlyArray<number>): ReadonlyArray<number> =>
  call === "removed" ? [] : call === "all" ? numbers : numbers.filter(isCoherent)
