/**
 * Inverted lists (Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", 2011, section 4):
 * codes of rows that lie near one another, block after block, so that a query reads only some of them.
 *
 * Codes in lists are those of the store, against the one mean of its encoder, so that a row that moves to another
 * list is copied as it is.
 */
import { type CodeColumns, codeColumns } from "./columns.ts"
import type { Kernels, ListColumns, SearchPlan, SegmentLayout } from "./contract.ts"
import { estimateBlock } from "./estimate.ts"
import { f16Values } from "./f16.ts"
import { matmul } from "./matmul.ts"
import { orderLists } from "./order.ts"
import { codeComponents, codedCentroids, requireCodebook } from "./pq.ts"
import type { Estimator, Query } from "./query.ts"
import { requireLayout } from "./refusal.ts"
import type { TopRows } from "./select.ts"
import { isLive, liveHalf } from "./seqlock.ts"
import { BLOCK, BLOCKS, CODE_BITS, CODE_BLOCK_BYTES, LINKS_BYTES, LISTED_OFFSET, NEXT_OFFSET, SLOTS } from "./shape.ts"
import { nearLists, shortlistColumns } from "./shortlist.ts"

const { fround } = Math

/**
 * The row of a slot as its code has it, from `at` on: the centroids of its subspaces, or signs of the bits, all of the
 * factor's magnitude.
 */
export const decodeCode = (
  layout: SegmentLayout,
  columns: CodeColumns,
  encoder: Float32Array,
  slot: number,
  out: Float32Array,
  at: number
): void =>
  layout.subspaces > 0
    ? codedCentroids(layout, encoder, columns.codes, slot, out, at)
    : decodeSigns(layout, columns, slot, out, at)

const decodeSigns = (
  { factorScale }: SegmentLayout,
  { codes, factors }: CodeColumns,
  slot: number,
  out: Float32Array,
  at: number
): void => {
  const from = Math.floor(slot / BLOCK) * CODE_BLOCK_BYTES + (slot % BLOCK)
  const factor = fround(f16Values()[factors[slot]!]! * factorScale)
  for (let m = 0; m < CODE_BITS; m++) {
    const bit = (codes[from + (m >> 3) * BLOCK]! >> (m & 7)) & 1
    out[at + m] = bit === 1 ? factor : -factor
  }
}

export const assignLists: Kernels["assignLists"] = (layout, slots, encoder, codes, centroids, halfNorms, out) => {
  const lists = halfNorms.length
  const components = codeComponents(layout)
  requireLayout(lists > 0 && centroids.length === components * lists, "the centroids are not components x lists")
  requireLayout(out.length >= slots.length, "there is no place for every list")
  if (layout.subspaces > 0) requireCodebook(layout, encoder)
  const columns = codeColumns(layout, codes)
  const point = new Float32Array(components)
  const products = new Float32Array(lists)
  for (let i = 0; i < slots.length; i++) {
    requireLayout(slots[i]! < SLOTS, "a slot outside the segment")
    decodeCode(layout, columns, encoder, slots[i]!, point, 0)
    matmul(point, centroids, products, 1, components, lists)
    out[i] = largest(products, halfNorms)
  }
}

/** The first list of the largest product less its half norm; NaN is never larger. */
const largest = (products: Float32Array, halfNorms: Float32Array): number => {
  let best = 0
  let most = Number.NEGATIVE_INFINITY
  for (let list = 0; list < products.length; list++) {
    const score = fround(products[list]! - halfNorms[list]!)
    if (score > most) {
      most = score
      best = list
    }
  }
  return best
}

/** Rows that the hits are chosen from. */
export const wantedOf = ({ keep, fetch = 0, wanted = Math.max(keep, fetch) }: SearchPlan): number => wanted

/**
 * Offers the live slots of the lists that each query visits, by their rows, and of the others where those hold fewer than
 * are wanted; false when cancelled.
 */
export const scanLists = (
  plan: SearchPlan,
  lists: ListColumns,
  queries: ReadonlyArray<Query>,
  best: ReadonlyArray<TopRows>,
  isCancelled: () => boolean
): boolean => {
  const wanted = wantedOf(plan)
  return queries.every(({ estimator }, i) => {
    // Above a seed fewer may be kept than were met.
    let met = 0
    const visit = (list: number): boolean => {
      if (isCancelled()) return false
      scanList(plan, lists, list, estimator!, (estimate, row) => {
        met++
        best[i]!.offer(estimate, row)
      })
      return true
    }
    const near = nearLists(plan, lists, estimator!)
    if (!near.every(visit)) return false
    const isEnough = () => met >= wanted
    if (isEnough()) return true
    const visited = new Set(near)
    const others = orderLists(plan, lists, estimator!.projected).lists.filter((list) => !visited.has(list))
    return others.every((list) => isEnough() || visit(list))
  })
}

/** A row of a list, by its estimate. */
type Take = (estimate: number, row: number) => void

/** Calls `take` with the live slots of a list, and says how many blocks it has. */
export const scanList = (
  plan: SearchPlan,
  { heads, codes, links }: ListColumns,
  list: number,
  estimator: Estimator,
  take: Take
): number => {
  let blocks = 0
  // A chain that was damaged into a ring ends all the same.
  const most = codes.length * BLOCKS
  for (let next = Atomics.load(heads, list); next > 0 && blocks < most; blocks++) {
    const chunk = Math.floor((next - 1) / BLOCKS)
    const block = (next - 1) % BLOCKS
    const held = links[chunk]
    if (held === undefined) break
    const live = new Int32Array(held.buffer, held.byteOffset + 8 * block, 2)
    const low = liveHalf(live, 0)
    const high = liveHalf(live, 1)
    const rows = new Uint32Array(held.buffer, held.byteOffset + LISTED_OFFSET + 4 * block * BLOCK, BLOCK)
    if ((low | high) !== 0) {
      const estimates = estimateBlock(plan, codeColumns(plan, codes[chunk]!), block, estimator)
      for (let lane = 0; lane < BLOCK; lane++) if (isLive(low, high, lane)) take(estimates[lane]!, rows[lane]!)
    }
    next = Atomics.load(new Uint32Array(held.buffer, held.byteOffset + NEXT_OFFSET, BLOCKS), block)
  }
  return blocks
}

/** Refuses lists that their own arrays do not hold. */
export const requireLists = (plan: SearchPlan, lists: ListColumns | undefined): void => {
  requireLayout(lists !== undefined, "there are no lists to search")
  const { centroids, biases, heads, codes, links, shortlist } = lists as ListColumns
  requireLayout(
    biases.length > 0 && centroids.length === codeComponents(plan) * biases.length,
    "the centroids are not components x lists"
  )
  requireLayout(heads.length === biases.length && links.length === codes.length, "the lists are not whole")
  requireLayout(plan.nprobe > 0, "no list is to be visited")
  if (shortlist !== undefined) shortlistColumns(shortlist, biases.length)
  for (const chunk of links) requireLayout(chunk.length >= LINKS_BYTES, "the links are shorter than a chunk")
}
