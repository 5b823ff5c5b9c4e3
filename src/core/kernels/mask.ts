/** The rows that a filtered search may return, and whether they are few. */
import type { Filter, SearchPlan } from "./contract.ts"
import { count, livePassing, type SegmentFilter } from "./filter.ts"
import { requireLayout } from "./refusal.ts"
import { BLOCK, BLOCKS, NPROBE_FACTOR, PRECISION } from "./shape.ts"

/** Nanoseconds to scan the codes of a block, and to scan a block of a list and find which of its slots pass. */
const BLOCK_NS = 46
const LISTED_NS = 100
/** Nanoseconds to score a row that lies anywhere: per row, and bytes in one. */
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

/** Passing rows of the plan's blocks, and blocks that have any. */
const countsOf = ({ fromBlock, toBlock }: SearchPlan, mask: Uint32Array) => {
  let rows = 0
  let blocks = 0
  for (let block = fromBlock; block < toBlock; block++) {
    const passing = count({ low: mask[2 * block]!, high: mask[2 * block + 1]! })
    rows += passing
    if (passing > 0) blocks++
  }
  return { rows, blocks }
}

/** Blocks of lists that are scanned in the time that the codes of the blocks take which have rows of a mask. */
export const listedBlocks = (plan: SearchPlan, mask: Uint32Array): number =>
  Math.floor((countsOf(plan, mask).blocks * BLOCK_NS) / LISTED_NS)

/** What takes least time under a filter. */
type Way = "score" | "scan" | "lists"

/**
 * Whether it takes less time to score every row of a mask, or to scan the codes of their blocks, or of `lists` lists where
 * that is not 0, and score `rerank` of them.
 */
export const wayUnder = (plan: SearchPlan, mask: Uint32Array, lists: number): Way => {
  const { rerank, precision, dimensions, subspaces } = plan
  const { rows, blocks } = countsOf(plan, mask)
  const listsNs = lists > 0 ? expectedNs(plan, rows, lists) : Number.POSITIVE_INFINITY
  const scanNs = Math.min(blocks * BLOCK_NS, listsNs)
  // Without vectors only product codes are scored again, by one look-up a subspace.
  const rowBytes = precision === PRECISION.none ? subspaces : [4, 2, 1][precision]! * dimensions
  const isShort = rows <= rerank + Math.floor(scanNs / (ROW_NS + Math.floor(rowBytes / ROW_BYTES_NS)))
  if (isShort && rerank > 0) return "score"
  return listsNs < blocks * BLOCK_NS ? "lists" : "scan"
}

/**
 * About how long it takes to scan the lists that may hold the nearest of `rows` rows. Queries visit up to twice the lists
 * that stored vectors do; where a share of the rows passes, the nearest of them are spread over more by the root of it.
 */
const expectedNs = ({ fromBlock, toBlock, nprobe, margin }: SearchPlan, rows: number, lists: number): number => {
  const blocks = toBlock - fromBlock
  const usual = nprobe / (margin === undefined ? 1 : NPROBE_FACTOR / 2)
  const growth = Math.sqrt((blocks * BLOCK) / Math.max(1, rows))
  return Math.floor(Math.min(1, (usual / lists) * growth) * blocks * LISTED_NS)
}
