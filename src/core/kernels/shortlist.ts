/**
 * Many lists are ranked in two levels: the codes of their centroids are scanned as those of rows are, and of the best by
 * these estimates int8 copies are ranked. A query reads a few tens of bytes of most centroids instead of a kilobyte.
 */
import type { CodeColumns } from "./columns.ts"
import type { ListColumns, SearchPlan, SegmentLayout } from "./contract.ts"
import { storeCode } from "./encode.ts"
import { estimateBlock } from "./estimate.ts"
import { F16_MAX, toF16 } from "./f16.ts"
import { quantise } from "./int8.ts"
import { orderLists, orderOf } from "./order.ts"
import type { Estimator } from "./query.ts"
import { requireLayout } from "./refusal.ts"
import { TopRows } from "./select.ts"
import { BLOCK, CODE_BITS, CODE_BLOCK_BYTES, CODE_BYTES, METRIC } from "./shape.ts"

const { fround, max, min } = Math

/**
 * Centroids that are ranked by their copies for each list that a query may visit, and at least: with 928, 990 and 3,681
 * lists these were measured to hold what the ranks of all would choose, but for at most four in a thousand.
 */
const A_VISIT = 2
const LEAST = BLOCK

/** Columns of the centroids, one after the other, each for all the slots of whole blocks. */
interface Shortlist extends CodeColumns {
  /** int8 copies, `slots x 256`, and the step of each. */
  readonly levels: Int8Array
  readonly steps: Float32Array
}

const slotsOf = (lists: number): number => Math.ceil(lists / BLOCK) * BLOCK

/** Bytes of the shortlist of so many lists. */
export const shortlistBytes = (lists: number): number => slotsOf(lists) * (CODE_BYTES + 2 + 2 + CODE_BITS + 4)

export const shortlistColumns = ({ buffer, byteOffset, length }: Uint8Array, lists: number): Shortlist => {
  const slots = slotsOf(lists)
  requireLayout(length >= shortlistBytes(lists) && byteOffset % 4 === 0, "the shortlist is shorter, or not aligned")
  const at = (bytes: number) => byteOffset + bytes * slots
  return {
    codes: new Uint8Array(buffer, byteOffset, CODE_BYTES * slots),
    blockBytes: CODE_BLOCK_BYTES,
    factors: new Uint16Array(buffer, at(CODE_BYTES), slots),
    norms: new Uint16Array(buffer, at(CODE_BYTES + 2), slots),
    levels: new Int8Array(buffer, at(CODE_BYTES + 4), CODE_BITS * slots),
    steps: new Float32Array(buffer, at(CODE_BYTES + 4 + CODE_BITS), slots)
  }
}

const projected = new Float32Array(CODE_BITS)
const scratch = { projected, residuals: projected }

/**
 * Writes the code and the copy of the centroid of a list. With its bias as a norm, its estimate is one of its rank: of
 * twice that for l2, whose scores are twice as far apart.
 */
export const storeCentroid = (
  layout: SegmentLayout,
  { centroids, biases }: Pick<ListColumns, "centroids" | "biases">,
  shortlist: Shortlist,
  list: number
): void => {
  for (let m = 0; m < CODE_BITS; m++) projected[m] = centroids[m * biases.length + list]!
  storeCode({ ...layout, metric: METRIC.cosine }, scratch, 0, shortlist, list)
  const unit = layout.metric === METRIC.l2 ? 2 : 1
  const norm = (-unit * biases[list]!) / (layout.factorScale * layout.factorScale)
  shortlist.norms[list] = toF16(fround(max(-F16_MAX, min(F16_MAX, norm))))
  shortlist.steps[list] = quantise(projected, 0, CODE_BITS, shortlist.levels, list * CODE_BITS)
}

/**
 * The lists that a query visits which no filter makes go on, best first. All are ranked where there is no shortlist, or
 * where it would hold most of them.
 */
export const nearLists = (plan: SearchPlan, lists: ListColumns, estimator: Estimator): Uint32Array => {
  const candidates = max(LEAST, A_VISIT * plan.nprobe)
  const isOfSigns = lists.shortlist !== undefined && plan.subspaces === 0
  const isShort = isOfSigns && candidates <= Math.floor(lists.biases.length / 2)
  const order = isShort
    ? orderShortlist(plan, lists, lists.shortlist, candidates, estimator)
    : orderLists(plan, lists, estimator.projected)
  return order.lists.subarray(0, order.near)
}

const orderShortlist = (
  plan: SearchPlan,
  { biases }: ListColumns,
  bytes: Uint8Array,
  candidates: number,
  estimator: Estimator
) => {
  const shortlist = shortlistColumns(bytes, biases.length)
  const nearest = new TopRows(candidates, Number.NEGATIVE_INFINITY)
  for (let first = 0; first < biases.length; first += BLOCK) {
    const estimates = estimateBlock({ ...plan, metric: METRIC.l2 }, shortlist, first / BLOCK, estimator)
    const count = min(BLOCK, biases.length - first)
    for (let lane = 0; lane < count; lane++) nearest.offer(estimates[lane]!, first + lane)
  }
  const levels = new Int8Array(CODE_BITS)
  const step = quantise(estimator.projected, 0, CODE_BITS, levels, 0)
  const ranked = new TopRows(candidates)
  for (const list of nearest.take().rows) {
    let product = 0
    for (let m = 0; m < CODE_BITS; m++) product += levels[m]! * shortlist.levels[list * CODE_BITS + m]!
    ranked.offer(fround(fround(product * shortlist.steps[list]! * step) + biases[list]!), list)
  }
  return orderOf(plan, ranked, estimator.projected)
}
