/** The rows that a filtered search may return, and whether they are few. */
import type { Filter, SearchPlan } from "./contract.ts"
import { count, livePassing, type SegmentFilter } from "./filter.ts"
import { requireLayout } from "./refusal.ts"
import { BLOCKS, PRECISION } from "./shape.ts"

/** Nanoseconds to scan the codes of a block, and to score a row that lies anywhere: per row, and bytes in one. */
const BLOCK_NS = 46
const ROW_NS = 40
const ROW_BYTES_NS = 8

interface Filtered {
  readonly live: Int32Array
  readonly filter: SegmentFilter | undefined
}

/** Two halves of a word a block, counted over the segments: live rows that pass, in the blocks of the plan. */
export const maskOf = (
  plan: SearchPlan,
  segments: ReadonlyArray<Filtered>,
  { mask, isFilled }: Filter
): Uint32Array => {
  const { fromBlock, toBlock } = plan
  requireLayout(mask === undefined || mask.length >= 2 * toBlock, "a mask has fewer words than there are blocks")
  if (mask !== undefined && isFilled) return mask
  const words = mask ?? new Uint32Array(2 * toBlock)
  for (let block = fromBlock; block < toBlock; block++) {
    const { live, filter } = segments[Math.floor(block / BLOCKS)]!
    const { low, high } = livePassing(live, filter!, block % BLOCKS)
    words[2 * block] = low
    words[2 * block + 1] = high
  }
  return words
}

/**
 * Whether it takes less time to score every row of a mask than to scan the codes of their blocks and score `rerank`
 * of them.
 */
export const isShort = (
  { fromBlock, toBlock, rerank, precision, dimensions, subspaces }: SearchPlan,
  mask: Uint32Array
): boolean => {
  let rows = 0
  let blocks = 0
  for (let block = fromBlock; block < toBlock; block++) {
    const passing = count({ low: mask[2 * block]!, high: mask[2 * block + 1]! })
    rows += passing
    if (passing > 0) blocks++
  }
  // Without vectors only product codes are scored again, by one look-up a subspace.
  const rowBytes = precision === PRECISION.none ? subspaces : [4, 2, 1][precision]! * dimensions
  return rows <= rerank + Math.floor((blocks * BLOCK_NS) / (ROW_NS + Math.floor(rowBytes / ROW_BYTES_NS)))
}
