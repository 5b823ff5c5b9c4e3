/** Who gives way when a pool is full. */
import type { SimilarityIndex } from "../similarity-index.ts"

export const EVICTIONS = ["oldest", "leastUseful", "leastRecentlyUsed", "diversity"] as const
export type EvictionName = (typeof EVICTIONS)[number]

/** The items of a pool, by row, as policies see them. */
export interface EvictableItems {
  readonly size: number
  /** Rows of the items, lowest first: all at once, which holds the event loop up in a pool of 100,000. */
  readonly rows: () => ReadonlyArray<number>
  /** Calls `visit` with the row of every item, lowest first, about a millisecond at a time. */
  readonly walk: (visit: (row: number) => void) => Promise<void>
  /** Rows of at most `count` items spread over all; of others for another `from`, 0..1. */
  readonly spread: (count: number, from?: number) => ReadonlyArray<number>
  /** Whether there is an item in a row. */
  readonly has: (row: number) => boolean
  /** Another number once items have changed their rows: rows from before are void. */
  readonly moved: () => number
  /** Larger came later. */
  readonly cameAt: (row: number) => number
  /** Larger was added or returned to a caller later. */
  readonly usedAt: (row: number) => number
  /** With the bias of its class, -1..1. */
  readonly usefulness: (row: number) => number
  /** Bytes that the item takes. */
  readonly bytesOf: (row: number) => number
  /** Embeddings, one after the other. */
  readonly vectorsOf: (rows: ReadonlyArray<number>) => Float32Array
  readonly index: SimilarityIndex
}

/** How much is to go. */
export interface Demand {
  /** Items at least. */
  readonly count: number
  /** Bytes at least. */
  readonly bytes: number
}

export interface EvictionPolicy {
  /**
   * Rows to give way, that together meet the demand. Those of all items where they do not. A
   * writer waits for them: what is written to a pool in the same collection meanwhile is `Deadlock`.
   */
  readonly victims: (items: EvictableItems, demand: Demand) => Promise<ReadonlyArray<number>>
}

/** Rows that are to go, until there are enough of them. */
export class Victims {
  readonly #items: EvictableItems
  readonly #demand: Demand
  readonly rows = new Set<number>()
  #bytes = 0

  constructor(items: EvictableItems, demand: Demand) {
    this.#items = items
    this.#demand = demand
  }

  get isEnough(): boolean {
    return this.rows.size >= this.#demand.count && this.#bytes >= this.#demand.bytes
  }

  take(row: number): void {
    if (this.rows.has(row)) return
    this.rows.add(row)
    this.#bytes += this.#items.bytesOf(row)
  }
}
