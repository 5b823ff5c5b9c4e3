/**
 * Entries that were given another row while a search ran. It may have passed by the new row before that was written, and
 * met the old one after that was gone: so the blocks of the new rows are searched once more, and what is found there
 * joins the hits.
 */
import type { Filter, Hits, SearchPlan } from "../kernels/contract.ts"
import { MODE } from "../kernels/shape.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { allSettled } from "../settled.ts"
import { BLOCK } from "../store/layout.ts"
import { forEachMove } from "../store/move-log.ts"
import { isCurrent } from "../store/rows.ts"
import type { Searchable } from "../store/searchable.ts"
import { newHits } from "./hits.ts"
import type { SearchDone } from "./task.ts"

/** The search that the hits came of. */
interface Searched {
  readonly memory: Searchable
  readonly queries: Float32Array
  readonly count: number
}

/** Queries times blocks that are searched again in place: each takes some microseconds. */
const AGAIN_IN_PLACE = 64
/** Blocks beyond which the whole search is run again instead. */
const MOST_BLOCKS = 64

/**
 * Adds to the hits what has moved since there had been so many moves; false when the search is to be run again. `isLast`
 * says that it will not be.
 */
export const addMoved = (
  { memory, queries, count }: Searched,
  whole: SearchPlan,
  filter: Filter | undefined,
  hits: Hits,
  since: number,
  isLast: boolean
): boolean => {
  let isWhole = true
  // Another thread may go on to move entries.
  for (let seen = since; memory.directory.moved !== seen; ) {
    const moved = movedSince(memory, whole, seen, isLast)
    if (moved === undefined || !isWhole || moved.plans.length * count > AGAIN_IN_PLACE) return false
    memory.sync()
    const found = moved.plans.map((plan) => {
      const part = newHits(count, plan.keep)
      memory.kernels.search(plan, memory.columns, queries, memory.directory.words, part, filter)
      return part
    })
    isWhole = joinMoved(memory, whole.keep, moved, found, hits)
    seen = moved.until
  }
  return isWhole
}

/** The same where much has moved, for many queries: in the pool but for what moves meanwhile. */
export const addManyMoved = async (
  pool: Pool["Service"],
  search: Searched,
  whole: SearchPlan,
  filter: Filter | undefined,
  hits: Hits,
  since: number,
  isLast: boolean
): Promise<boolean> => {
  const { memory, queries, count } = search
  if (memory.directory.moved === since) return true
  const moved = movedSince(memory, whole, since, isLast)
  if (moved === undefined || moved.plans.length * count <= AGAIN_IN_PLACE) {
    return addMoved(search, whole, filter, hits, since, isLast)
  }
  memory.sync()
  const handle = memory.handle()
  const done = await allSettled(
    moved.plans.map((plan) => runOnMemory<SearchDone>(pool, "search", { plan, queries, filter }, handle, true))
  )
  const isWhole = joinMoved(
    memory,
    whole.keep,
    moved,
    done.map(({ hits }) => hits),
    hits
  )
  return addMoved(search, whole, filter, hits, moved.until, isLast) && isWhole
}

/** What moved since a search began. */
interface Moved {
  /** Moves so far. */
  readonly until: number
  /** Rows that entries went from, and to. */
  readonly from: ReadonlySet<number>
  readonly to: ReadonlySet<number>
  /** Plans of the same search over the blocks of the new rows. */
  readonly plans: ReadonlyArray<SearchPlan>
}

/** Undefined when that is not known, or what is found by itself cannot join the hits. */
const movedSince = (memory: Searchable, whole: SearchPlan, since: number, isLast: boolean): Moved | undefined => {
  const until = memory.directory.moved
  const from = new Set<number>()
  const to = new Set<number>()
  const isKnown = forEachMove(memory.moveLog, since, until, (left, taken) => {
    from.add(left)
    to.add(taken)
  })
  // Diverse hits are chosen together; where they never are, one that moved joins them by its score.
  if (!isKnown || ((whole.fetch ?? 0) > 0 && !isLast)) return undefined
  const blocks = new Set(Array.from(to, (row) => Math.floor(row / BLOCK)))
  if (blocks.size > MOST_BLOCKS && !isLast) return undefined
  return { until, from, to, plans: Array.from(blocks, (block) => ofBlock(whole, block)) }
}

/** Every row of the block is scored as hits are. */
const ofBlock = (whole: SearchPlan, block: number): SearchPlan => ({
  ...whole,
  mode: whole.mode === MODE.ivf || whole.mode === MODE.hnsw ? MODE.flat : whole.mode,
  keep: BLOCK,
  rerank: whole.rerank > 0 ? BLOCK : 0,
  wanted: undefined,
  deepest: undefined,
  nprobe: 0,
  margin: undefined,
  efSearch: undefined,
  fetch: undefined,
  fromBlock: block,
  toBlock: block + 1
})

/** Adds to the hits what `moved.plans` found; false when others may belong there instead of what went away. */
const joinMoved = (memory: Searchable, keep: number, moved: Moved, found: ReadonlyArray<Hits>, hits: Hits): boolean => {
  let isWhole = true
  for (let query = 0; query < hits.counts.length; query++) {
    const start = query * keep
    const before = hits.counts[query]!
    // What is farther than the last of a full list is not known to be nearer than all others.
    const least = before === keep ? hits.scores[start + keep - 1]! : Number.NEGATIVE_INFINITY
    for (let i = start + before - 1; i >= start; i--) {
      if (moved.from.has(hits.rows[i]!) && !isCurrent(memory, hits.rows[i]!, hits.generations[i]!)) {
        remove(hits, i, start + hits.counts[query]!--)
      }
    }
    for (const part of found) {
      for (let i = query * BLOCK; i < query * BLOCK + part.counts[query]!; i++) {
        if (moved.to.has(part.rows[i]!) && part.scores[i]! >= least) insert(hits, query, keep, part, i)
      }
    }
    if (hits.counts[query]! < before) isWhole = false
  }
  return isWhole
}

const columnsOf = ({ rows, generations, scores, estimates }: Hits) => [rows, generations, scores, estimates]

const remove = (hits: Hits, at: number, end: number): void => {
  for (const column of columnsOf(hits)) column.copyWithin(at, at + 1, end)
}

/** Puts hit `from` of `part` in its place among those of a query, unless it is there already or farther than all. */
const insert = (hits: Hits, query: number, keep: number, part: Hits, from: number): void => {
  const [row, score] = [part.rows[from]!, part.scores[from]!]
  const start = query * keep
  const count = hits.counts[query]!
  let at = start
  for (let i = start; i < start + count; i++) {
    if (hits.rows[i] === row && hits.generations[i] === part.generations[from]) return
    if (hits.scores[i]! > score || (hits.scores[i] === score && hits.rows[i]! < row)) at = i + 1
  }
  if (at === start + keep) return
  const end = start + Math.min(count, keep - 1)
  for (const column of columnsOf(hits)) column.copyWithin(at + 1, at, end)
  hits.rows[at] = row
  hits.generations[at] = part.generations[from]!
  hits.scores[at] = score
  hits.estimates[at] = part.estimates[from]!
  hits.counts[query] = Math.min(keep, count + 1)
}
