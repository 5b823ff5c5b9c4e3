/** Who gives way when a pool is full. */
import type { SimilarityIndex } from "../similarity-index.ts"

export const EVICTIONS = ["oldest", "leastUseful", "leastRecentlyUsed", "diversity"] as const
export type EvictionName = (typeof EVICTIONS)[number]

/** The items of a pool, by row, as policies see them. */
export interface EvictableItems {
  readonly size: number
  /** Rows of the items, lowest first. */
  readonly rows: () => ReadonlyArray<number>
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
  /** Rows to give way, that together meet the demand. Those of all items where they do not. */
  readonly victims: (items: EvictableItems, demand: Demand) => Promise<ReadonlyArray<number>>
}

/** Rows in the order they are given until the demand is met. */
export const untilMet = (items: EvictableItems, demand: Demand, rows: Iterable<number>): ReadonlyArray<number> => {
  const victims: Array<number> = []
  let bytes = 0
  for (const row of rows) {
    if (victims.length >= demand.count && bytes >= demand.bytes) break
    victims.push(row)
    bytes += items.bytesOf(row)
  }
  return victims
}
