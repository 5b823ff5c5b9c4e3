/** Policies that rank each item by itself: the lowest rank goes first, of equals the one that came first. */
import { forEachSliced } from "../../slice.ts"
import { BestRows } from "../best-rows.ts"
import { type EvictableItems, type EvictionPolicy, Victims } from "./policy.ts"

/** Lowest items that one walk over all of them finds, at least and at most: the next evictions take from these. */
const LEAST_QUEUED = 256
const MOST_QUEUED = 4096

interface Queued {
  readonly row: number
  readonly rank: number
  readonly came: number
}

/** `isGrowing`: ranks only ever grow, and what is new comes last, so that who was lowest stays so until it is touched. */
const ranked = (rankOf: (items: EvictableItems, row: number) => number, isGrowing: boolean) => (): EvictionPolicy => {
  let queue: Array<Queued> = []
  let moved = 0

  /** Whether an item of the queue is what it was when it was found. */
  const isStill = (items: EvictableItems, { row, rank, came }: Queued): boolean =>
    items.has(row) && items.cameAt(row) === came && rankOf(items, row) === rank

  const refill = async (items: EvictableItems, count: number, without: ReadonlySet<number>): Promise<void> => {
    const lowest = new BestRows(Math.min(MOST_QUEUED, Math.max(LEAST_QUEUED, count)))
    moved = items.moved()
    await items.walk((row) => {
      if (!without.has(row)) lowest.offer(row, -rankOf(items, row), items.cameAt(row))
    })
    queue = lowest.rows.map((row, i) => ({ row, rank: 0 - lowest.scores[i]!, came: lowest.ages[i]! }))
  }

  return {
    victims: async (items, demand) => {
      const victims = new Victims(items, demand)
      // Those that were chosen before stay in the queue until they are gone: what they gave way to may have failed.
      queue = isGrowing && items.moved() === moved ? queue.filter((one) => isStill(items, one)) : []
      for (;;) {
        const before = victims.rows.size
        await forEachSliced(queue.length, undefined, (i) => {
          const { row } = queue[i]!
          // Between two shares of the event loop others may have removed it.
          if (!victims.isEnough && items.has(row)) victims.take(row)
        })
        if (victims.isEnough || items.size <= victims.rows.size) break
        await refill(items, demand.count - victims.rows.size, victims.rows)
        if (queue.length === 0 && victims.rows.size === before) break
      }
      return [...victims.rows]
    }
  }
}

export const oldest = ranked((items, row) => items.cameAt(row), true)
export const leastUseful = ranked((items, row) => items.usefulness(row), false)
export const leastRecentlyUsed = ranked((items, row) => items.usedAt(row), true)
