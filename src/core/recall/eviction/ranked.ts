/** Policies that rank each item by itself: the lowest rank goes first, of equals the one that came first. */
import { type Demand, type EvictableItems, type EvictionPolicy, untilMet } from "./policy.ts"

const ranked = (rankOf: (items: EvictableItems) => (row: number) => number): EvictionPolicy => ({
  victims: async (items, demand) => {
    const rank = rankOf(items)
    const isBefore = (a: number, b: number): number => rank(a) - rank(b) || items.cameAt(a) - items.cameAt(b)
    return untilMet(
      items,
      demand,
      demand.count <= 1 ? lowest(items, demand, isBefore) : items.rows().toSorted(isBefore)
    )
  }
})

/** One victim at a time: a full pool loses one item with each that comes, and sorting all of them would take longer. */
function* lowest(items: EvictableItems, { bytes }: Demand, order: (a: number, b: number) => number): Generator<number> {
  let first: number | undefined
  for (const row of items.rows()) if (first === undefined || order(row, first) < 0) first = row
  if (first === undefined) return
  yield first
  if (items.bytesOf(first) >= bytes) return
  const others = items.rows().filter((row) => row !== first)
  yield* others.sort(order)
}

export const oldest = ranked((items) => items.cameAt)
export const leastUseful = ranked((items) => items.usefulness)
export const leastRecentlyUsed = ranked((items) => items.usedAt)
