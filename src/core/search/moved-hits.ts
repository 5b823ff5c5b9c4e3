/**
 * Entries that were given another row while a search ran. It may have passed by the new row before that was written, and
 * met the old one after that was gone: so the new rows are searched once more, and what is found there joins the hits.
 */
import type { Filter, Hits, SearchPlan } from "../kernels/contract.ts"
import { MODE } from "../kernels/shape.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { BLOCK, SLOTS } from "../store/layout.ts"
import { isLive } from "../store/memory.ts"
import { forEachMove } from "../store/move-log.ts"
import { isCurrent, NO_NAMESPACE } from "../store/rows.ts"
import type { Searchable } from "../store/searchable.ts"
import { compileFilter } from "./filter/program.ts"
import { newHits } from "./hits.ts"
import type { SearchDone } from "./task.ts"

/** The search that the hits came of. */
interface Searched {
  readonly memory: Searchable
  readonly queries: Float32Array
  readonly count: number
  readonly whole: SearchPlan
  /** Without what is known of the rows that pass; undefined when every row does. */
  readonly filter: Filter | undefined
}

/** Moves that are followed. Where more came while one search ran, it may miss one of those entries. */
const MOST_MOVES = 4096
/** Times that moves are followed which another thread makes meanwhile. */
const MOST_LOOKS = 8
/** Products of components that are computed in place: some tenths of a millisecond. */
const PRODUCTS_IN_PLACE = 1 << 21

/** Adds to the hits what has moved since there had been so many moves; false when the search is better run again. */
export const addMoved = (search: Searched, hits: Hits, since: number): boolean => {
  const { memory, queries, count } = search
  let isWhole = true
  let seen = since
  for (let look = 0; memory.directory.moved !== seen; look++) {
    const moved = movedSince(search, seen)
    if (moved === undefined) return isWhole
    if (look === MOST_LOOKS) return false
    const found = newHits(count, moved.plan.keep)
    memory.kernels.search(moved.plan, memory.columns, queries, memory.directory.words, found, moved.filter)
    isWhole = join(search, moved, found, hits) && isWhole
    seen = moved.until
  }
  return isWhole
}

/** The same for many queries: in a worker where that takes long, but for what moves meanwhile. */
export const addMovedInPool = async (
  pool: Pool["Service"],
  search: Searched,
  hits: Hits,
  since: number
): Promise<boolean> => {
  const { memory, queries, count } = search
  if (memory.directory.moved === since) return true
  const moved = movedSince(search, since)
  if (moved === undefined) return true
  if (moved.to.size * count * memory.shape.dimensions <= PRODUCTS_IN_PLACE) return addMoved(search, hits, since)
  const { plan, filter } = moved
  const { hits: found } = await runOnMemory<SearchDone>(
    pool,
    "search",
    { plan, queries, filter },
    memory.handle(),
    true
  )
  const isWhole = join(search, moved, found, hits)
  return addMoved(search, hits, moved.until) && isWhole
}

/** What moved since a search began. */
interface Moved {
  /** Moves so far. */
  readonly until: number
  /** Rows that entries went from, and to. */
  readonly from: ReadonlySet<number>
  readonly to: ReadonlySet<number>
  /** The same search over the new rows alone. */
  readonly plan: SearchPlan
  readonly filter: Filter
}

/** Undefined where there is too much of it, or it is not kept any more. */
const movedSince = ({ memory, whole, filter }: Searched, since: number): Moved | undefined => {
  memory.sync()
  const { directory, moveLog } = memory
  const until = directory.moved
  if ((until - since) >>> 0 > MOST_MOVES) return undefined
  const from = new Set<number>()
  const taken = new Set<number>()
  forEachMove(moveLog, since, until, (left, row) => {
    from.add(left)
    taken.add(row)
  })
  // One that moved on since would take the place of another.
  const to = new Set(Array.from(taken).filter((row) => isLive(memory.segments[Math.floor(row / SLOTS)]!, row % SLOTS)))
  const toBlock = Math.max(whole.toBlock, ...Array.from(to, (row) => Math.floor(row / BLOCK) + 1))
  const mask = new Uint32Array(2 * toBlock)
  for (const row of to) mask[row >>> 5]! |= 1 << (row & 31)
  const passing = filter ?? compileFilter(memory, [NO_NAMESPACE], undefined)
  return {
    until,
    from,
    to,
    plan: {
      ...whole,
      mode: whole.mode === MODE.ivf || whole.mode === MODE.hnsw ? MODE.flat : whole.mode,
      nprobe: 0,
      ...{ margin: undefined, efSearch: undefined, fetch: undefined },
      toBlock
    },
    filter: { ...passing, mask, isFilled: true }
  }
}

/** Adds to the hits what was found of `moved`; false when others may belong there instead of what went away. */
const join = ({ memory, whole }: Searched, moved: Moved, found: Hits, hits: Hits): boolean => {
  const { keep, fetch = 0 } = whole
  let isWhole = true
  for (let query = 0; query < hits.counts.length; query++) {
    const start = query * keep
    const before = hits.counts[query]!
    const isFull = before === keep
    const scores = hits.scores.subarray(start, start + before)
    // Diverse hits were chosen together: only one that is nearer than all of them has its place without them.
    const least =
      fetch > 0 ? scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY) : scores[before - 1]
    for (let i = start + before - 1; i >= start; i--) {
      if (moved.from.has(hits.rows[i]!) && !isCurrent(memory, hits.rows[i]!, hits.generations[i]!)) {
        remove(hits, i, start + hits.counts[query]!--)
      }
    }
    for (let i = start; i < start + found.counts[query]!; i++) {
      // What is farther than the last of a full list is not known to be nearer than all that is not in it.
      if (!(isFull || fetch > 0) || found.scores[i]! >= least!) insert(hits, query, keep, found, i)
    }
    if (isFull && hits.counts[query]! < keep) isWhole = false
  }
  return isWhole
}

const columnsOf = ({ rows, generations, scores, estimates }: Hits) => [rows, generations, scores, estimates]

const remove = (hits: Hits, at: number, end: number): void => {
  for (const column of columnsOf(hits)) column.copyWithin(at, at + 1, end)
}

/** Puts hit `from` of `found` in its place among those of a query, unless it is there already or farther than all. */
const insert = (hits: Hits, query: number, keep: number, found: Hits, from: number): void => {
  const [row, score] = [found.rows[from]!, found.scores[from]!]
  const start = query * keep
  const count = hits.counts[query]!
  let at = start
  for (let i = start; i < start + count; i++) {
    if (hits.rows[i] === row && hits.generations[i] === found.generations[from]) return
    if (hits.scores[i]! > score || (hits.scores[i] === score && hits.rows[i]! < row)) at = i + 1
  }
  if (at === start + keep) return
  const end = start + Math.min(count, keep - 1)
  for (const column of columnsOf(hits)) column.copyWithin(at + 1, at, end)
  hits.rows[at] = row
  hits.generations[at] = found.generations[from]!
  hits.scores[at] = score
  hits.estimates[at] = found.estimates[from]!
  hits.counts[query] = Math.min(keep, count + 1)
}
