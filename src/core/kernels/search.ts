/** Search over consecutive blocks: a first stage over every live slot, then the best scored again. */
import { requireParameters } from "./coder.ts"
import { type CodeColumns, codeColumns, type RowColumns, rowColumns } from "./columns.ts"
import type { Hits, Kernels, SearchColumns, SearchPlan } from "./contract.ts"
import { diverse, fetched } from "./diversity.ts"
import { estimateBlock } from "./estimate.ts"
import { passes, type SegmentFilter, segmentFilter } from "./filter.ts"
import { requireLists, scanLists, wantedOf } from "./lists.ts"
import { maskOf, wayUnder } from "./mask.ts"
import { scanPassing } from "./passing.ts"
import { prepareQueries, type Query } from "./query.ts"
import { requireLayout } from "./refusal.ts"
import { loadVector } from "./rows.ts"
import { score } from "./score.ts"
import { TopRows } from "./select.ts"
import { beginRead, isLive, isWhole, liveHalf } from "./seqlock.ts"
import { BLOCK, BLOCKS, MODE, PRECISION, SLOTS } from "./shape.ts"

type Segment = RowColumns & CodeColumns & { readonly filter: SegmentFilter | undefined }

const DONE = 0
const CANCELLED = 1

export const search: Kernels["search"] = (plan, columns, queries, control, hits, filter) => {
  const { rows, codes, encoder } = columns
  const segments = rows.map((segment, i) => ({
    ...rowColumns(plan, segment),
    ...codeColumns(plan, codes[i] ?? NO_CODES),
    filter: filter === undefined ? undefined : segmentFilter(filter, segment)
  }))
  requirePlan(plan, segments.length, columns, queries, control, hits)
  const prepared = prepareQueries(plan, queries, encoder)
  const candidates = Math.min(
    Math.max(plan.keep, plan.mode === MODE.exact ? 0 : Math.max(plan.rerank, plan.deepest ?? 0), plan.fetch ?? 0),
    (plan.toBlock - plan.fromBlock) * BLOCK
  )
  const newSelections = () => prepared.map(() => new TopRows(candidates, plan.seed))
  let best = newSelections()
  const mask = filter && maskOf(plan, segments, filter)
  const lists = plan.mode === MODE.ivf ? columns.lists : undefined
  const way = mask && wayUnder(plan, mask, lists?.heads.length ?? 0)
  const exhaustive = plan.mode === MODE.exact || way === "score"
  const isCancelled = () => Atomics.load(control, plan.cancel) !== 0
  let done: boolean | undefined = false
  if (lists !== undefined && mask === undefined) done = scanLists(plan, lists, prepared, best, isCancelled)
  else {
    if (lists !== undefined && way === "lists") done = scanPassing(plan, lists, prepared, mask!, best, isCancelled)
    if (done === false) {
      best = newSelections()
      done = scanBlocks({ plan, segments, mask, exhaustive }, prepared, best, isCancelled)
    }
  }
  if (!done) {
    hits.counts.fill(0, 0, prepared.length)
    return CANCELLED
  }
  for (let i = 0; i < prepared.length; i++) report(plan, segments, prepared[i]!, best[i]!, exhaustive, hits, i)
  return DONE
}

/** Stands for a codes buffer that was not passed, so that its length is refused. */
const NO_CODES = new Uint8Array(0)

/** What a scan goes over, and whether it scores what it finds or estimates it. */
interface Area {
  readonly plan: SearchPlan
  readonly segments: ReadonlyArray<Segment>
  readonly mask: Uint32Array | undefined
  readonly exhaustive: boolean
}

/** Offers every live slot of the plan's blocks that passes the filter; false when cancelled. */
const scanBlocks = (
  area: Area,
  queries: ReadonlyArray<Query>,
  best: ReadonlyArray<TopRows>,
  isCancelled: () => boolean
): boolean => {
  for (let block = area.plan.fromBlock; block < area.plan.toBlock; block++) {
    if (isCancelled()) return false
    scanBlock(area, block, queries, best)
  }
  return true
}

/** Offers every live slot of a block that passes the filter to the selection of each query. */
const scanBlock = (
  { plan, segments, mask, exhaustive }: Area,
  block: number,
  queries: ReadonlyArray<Query>,
  best: ReadonlyArray<TopRows>
): void => {
  const segment = segments[Math.floor(block / BLOCKS)]!
  const inSegment = block % BLOCKS
  const low = mask === undefined ? liveHalf(segment.live, 2 * inSegment) : mask[2 * block]!
  const high = mask === undefined ? liveHalf(segment.live, 2 * inSegment + 1) : mask[2 * block + 1]!
  if ((low | high) === 0) return
  for (let i = 0; i < queries.length; i++) {
    const query = queries[i]!
    const top = best[i]!
    if (exhaustive || query.estimator === undefined) {
      for (let lane = 0; lane < BLOCK; lane++) {
        if (isLive(low, high, lane)) {
          top.offer(score(plan, segment, inSegment * BLOCK + lane, query), block * BLOCK + lane)
        }
      }
    } else {
      const estimates = estimateBlock(plan, segment, inSegment, query.estimator)
      for (let lane = 0; lane < BLOCK; lane++) {
        if (isLive(low, high, lane)) top.offer(estimates[lane]!, block * BLOCK + lane)
      }
    }
  }
}

/** Writes the hits of one query: its candidates that are still whole, scored again where asked. */
const report = (
  plan: SearchPlan,
  segments: ReadonlyArray<Segment>,
  query: Query,
  best: TopRows,
  exhaustive: boolean,
  hits: Hits,
  index: number
): void => {
  const candidates = best.take()
  const scores = candidates.scores.slice()
  const generations = new Uint16Array(scores.length)
  const order = new Uint32Array(scores.length)
  const rescored = plan.mode === MODE.exact || plan.rerank > 0
  let whole = 0
  let least = Number.NEGATIVE_INFINITY
  for (let i = 0; i < scores.length; i++) {
    if (i === plan.rerank && plan.deepest !== undefined && !exhaustive) {
      least = leastEstimate(plan, order.subarray(0, whole), scores, candidates.scores)
    }
    if (candidates.scores[i]! <= least) break
    const segment = segments[Math.floor(candidates.rows[i]! / SLOTS)]
    // A list may name any row.
    if (segment === undefined) continue
    const slot = candidates.rows[i]! % SLOTS
    const generation = beginRead(segment.generations, slot)
    if (rescored) scores[i] = score(plan, segment, slot, query)
    generations[i] = generation
    // Fields may change while a row is live.
    const passing = passes(segment.filter, slot)
    if (isWhole(segment.generations, segment.live, slot, generation) && passing) order[whole++] = i
  }
  const { minScore = Number.NEGATIVE_INFINITY } = plan
  const near = order.subarray(0, whole).filter((i) => scores[i]! >= minScore)
  if (rescored) near.sort((a, b) => scores[b]! - scores[a]! || candidates.rows[a]! - candidates.rows[b]!)
  const ranked = plan.fetch === undefined ? near : chosen(plan, segments, near, candidates.rows, scores)
  const count = Math.min(ranked.length, plan.keep)
  for (let rank = 0; rank < count; rank++) {
    const at = index * plan.keep + rank
    const i = ranked[rank]!
    hits.rows[at] = candidates.rows[i]!
    hits.generations[at] = generations[i]!
    hits.scores[at] = scores[i]!
    hits.estimates[at] = exhaustive ? scores[i]! : candidates.scores[i]!
  }
  hits.counts[index] = count
}

/** A candidate may be so many times as far from its estimate as those before it were on the whole. */
const DOUBT = 1.75

/** What the estimate of a candidate must exceed so that it may be among the hits, after some were scored. */
const leastEstimate = (
  plan: SearchPlan,
  scored: Uint32Array,
  scores: Float32Array,
  estimates: Float32Array
): number => {
  const best = Array.from(scored, (i) => scores[i]!).sort((a, b) => b - a)
  const last = best[wantedOf(plan) - 1]
  if (last === undefined) return Number.NEGATIVE_INFINITY
  const mean = scored.reduce((sum, i) => sum + (scores[i]! - estimates[i]!) ** 2, 0) / scored.length
  return last - DOUBT * Math.sqrt(mean)
}

/** Those of `near`, best first, that are worth most together. */
const chosen = (
  plan: SearchPlan,
  segments: ReadonlyArray<Segment>,
  near: Uint32Array,
  rows: Uint32Array,
  scores: Float32Array
): ReadonlyArray<number> => {
  const { dimensions } = plan
  const first = near.subarray(0, fetched(plan, near.length))
  const vectors = new Float32Array(first.length * dimensions)
  for (const [at, i] of first.entries()) {
    const segment = segments[Math.floor(rows[i]! / SLOTS)]!
    loadVector(plan, segment, rows[i]! % SLOTS, vectors, at * dimensions)
  }
  const candidates = { scores: Array.from(first, (i) => scores[i]!), vectors }
  return diverse(plan, candidates).map((at) => first[at]!)
}

const requirePlan = (
  plan: SearchPlan,
  segments: number,
  columns: SearchColumns,
  queries: Float32Array,
  control: Int32Array,
  hits: Hits
): void => {
  const { dimensions, mode, precision, rerank, keep, fromBlock, toBlock, subspaces } = plan
  const needsVectors = mode === MODE.exact || (subspaces === 0 && rerank > 0) || plan.fetch !== undefined
  requireLayout(!needsVectors || precision !== PRECISION.none, "a store without vectors has no exact scores")
  requireLayout(fromBlock <= toBlock && toBlock <= segments * BLOCKS, "the blocks are not those of the segments")
  if (mode === MODE.ivf) requireLists(plan, columns.lists)
  requireLayout(wantedOf(plan) > 0, "no rows are wanted")
  requireLayout(plan.cancel < control.length, "the cancel word is not in the control array")
  if (mode !== MODE.exact) {
    // Lists are of either.
    const isOfCodes = mode === MODE.ivf || (mode === MODE.pq) === subspaces > 0
    requireLayout(isOfCodes, "the codes are not those of the mode")
    requireParameters(plan, columns.encoder)
  }
  const count = queries.length / dimensions
  requireLayout(Number.isInteger(count), "the queries are not a whole number of vectors")
  requireLayout(hits.counts.length >= count, "there is not one count a query")
  for (const column of [hits.rows, hits.generations, hits.scores, hits.estimates]) {
    requireLayout(column.length >= count * keep, "the hits do not fit in their arrays")
  }
}
