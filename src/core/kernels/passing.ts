/**
 * Inverted lists under a filter. The nearest rows that pass are farther away than those of all, so more lists may hold
 * one: how many more is told by the rows that are found.
 */
import type { ListColumns, SearchPlan } from "./contract.ts"
import { scanList, wantedOf } from "./lists.ts"
import { listedBlocks } from "./mask.ts"
import { orderLists } from "./order.ts"
import type { Estimator, Query } from "./query.ts"
import { TopRows } from "./select.ts"
import { isLive } from "./seqlock.ts"
import { BLOCK, METRIC } from "./shape.ts"

const { fround } = Math

/** Lists that are looked at first without a filter, and between two looks at how far to go, at least. */
const BEST_FIRST = 8
const LOOK = 4

/**
 * Offers the slots that pass in the lists of each query that may hold one of its nearest: visited in order of rank, down to
 * as far below the rank where a search without a filter ends as the `k`-th best passing row is below the `k`-th best of
 * all rows. Whether that was done: not where it would take longer than to scan all codes. Undefined when cancelled.
 */
export const scanPassing = (
  plan: SearchPlan,
  lists: ListColumns,
  queries: ReadonlyArray<Query>,
  mask: Uint32Array,
  best: ReadonlyArray<TopRows>,
  isCancelled: () => boolean
): boolean | undefined => {
  const blocks = listedBlocks(plan, mask)
  for (const [i, { estimator }] of queries.entries()) {
    if (isCancelled()) return undefined
    if (!scanOnePassing(plan, lists, estimator!, mask, best[i]!, blocks)) return false
  }
  return true
}

/**
 * How far apart ranks are whose lists hold scores that are 1 apart: those of l2 are twice as far apart as the ranks, and
 * ranks of product codes are in units of the codebook.
 */
const rankUnit = ({ metric, subspaces, factorScale }: SearchPlan): number => {
  const codebook = subspaces === 0 ? 1 : metric === METRIC.dot ? factorScale : factorScale * factorScale
  return fround((metric === METRIC.l2 ? 0.5 : 1) / codebook)
}

const scanOnePassing = (
  plan: SearchPlan,
  lists: ListColumns,
  estimator: Estimator,
  mask: Uint32Array,
  best: TopRows,
  blocks: number
): boolean => {
  const wanted = wantedOf(plan)
  const order = orderLists(plan, lists, estimator.projected)
  const sampled = Math.min(order.near, Math.max(BEST_FIRST, order.near >> 2))
  const unit = rankUnit(plan)
  const { seed = Number.NEGATIVE_INFINITY } = plan
  const all = new TopRows(wanted, seed)
  const passing = (row: number) =>
    row < plan.toBlock * BLOCK && isLive(mask[(row >> 6) * 2]!, mask[(row >> 6) * 2 + 1]!, row & 63)
  let bound = Number.NEGATIVE_INFINITY
  let look = sampled
  let left = blocks
  /** Rows of the lists that are looked at first. */
  let met = 0
  for (const [at, list] of order.lists.entries()) {
    if (at === look) {
      const enough = met >= wanted ? wanted : Math.min(wanted, Math.max(1, all.size))
      // What does not exceed the seed is not looked for: neither need be nearer than that.
      const below = fround(Math.max(all.bestAt(enough), fround(seed)) - Math.max(best.bestAt(wanted), fround(seed)))
      // Where either is not known that is no number, or no end.
      bound = Number.isFinite(below)
        ? fround(order.floor - fround(unit * Math.max(0, below)))
        : Number.NEGATIVE_INFINITY
      look += Math.max(LOOK, at >> 2)
    }
    if (order.ranks[at]! < bound) break
    const take = (estimate: number, row: number) => {
      if (at < sampled) {
        met++
        all.offer(estimate, row)
      }
      if (passing(row)) best.offer(estimate, row)
    }
    left -= scanList(plan, lists, list, estimator, take)
    if (left < 0) return false
  }
  return true
}
