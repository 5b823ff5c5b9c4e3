/**
 * One search of one or more queries, from a choice of options to the hits that were read: in place or
 * by pool workers, and again when the memory changed under it.
 */
import type { Filter, Hits, SearchPlan } from "../kernels/contract.ts"
import { keepsWorth } from "../kernels/diversity-fast.ts"
import { MODE, NPROBE_FACTOR } from "../kernels/shape.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { BLOCK, BLOCKS } from "../store/layout.ts"
import { claimEpoch, type Searchable } from "../store/searchable.ts"
import { inNextTurn, leftInTurn, TURN_MS } from "../turn.ts"
import type { ScanCost } from "./cost.ts"
import type { Passing } from "./filter/passing.ts"
import { merge, newHits } from "./hits.ts"
import { addMoved, addMovedInPool } from "./moved-hits.ts"
import { plan, type SearchChoice, scanMode, shard } from "./plan.ts"
import type { SearchDone } from "./task.ts"

/** Takes the hits of one query while their rows can still be read. */
export interface HitReader {
  /** Reads the hit at `i`. */
  take(hits: Hits, i: number): void
  /** Whether no hit had vanished: false when as many as wanted were not found. */
  isComplete(): boolean
}

/** Queries of one collection under one choice. */
export interface Search {
  readonly memory: Searchable
  readonly cost: ScanCost
  readonly choice: SearchChoice
  /** `count x dimensions`, checked by the caller. */
  readonly queries: Float32Array
  readonly count: number
  /** Which rows may be found. Absent: every row. */
  readonly passing?: Passing | undefined
  /** Starts to read the hits of a query; what was read of it before is void. */
  readonly reader: (query: number) => HitReader
}

/** Times a search is run again because codes were replaced, or rows vanished or were moved while it ran. */
const MAX_RUNS = 4
/** Share of a turn that is read in, in milliseconds: workers that have finished are waiting to be given more. */
const READ_MS = 0.25
/**
 * Most candidates that shards of a query have together: they are merged on the event loop, at some 200 ns each. Where one
 * query has as many, nearly all of its time goes into scoring them, and each shard would score its own.
 */
const MOST_MERGED = 4096
/** Hits read between two looks at the clock. */
const HITS_A_LOOK = 32

/** Rows whose codes or vectors a query meets: of inverted lists, as many as there usually are in those that it visits. */
const scannedRows = (plan: SearchPlan, { columns }: Searchable): number => {
  const rows = (plan.toBlock - plan.fromBlock) * BLOCK
  const lists = columns.lists?.heads.length ?? 1
  if (plan.mode !== MODE.ivf) return rows
  return (rows * plan.nprobe) / lists / (plan.margin === undefined ? 1 : NPROBE_FACTOR)
}

/** Elements of the centroids that a query is compared with, but for those that a shortlist stands for. */
const rankedElements = ({ mode }: SearchPlan, { columns: { lists } }: Searchable): number =>
  mode === MODE.ivf && lists !== undefined && lists.shortlist === undefined ? lists.centroids.length : 0

/** Learns what a search took, ranking apart. */
const observed = ({ cost, memory }: Search, plan: SearchPlan, queries: number, microseconds: number): void => {
  const ranking = queries * cost.rankingMicroseconds(rankedElements(plan, memory))
  cost.observe(plan, scannedRows(plan, memory), queries, microseconds - ranking)
}

/** What a plan costs: under a filter lists are left for all codes where too much of them would be visited. */
const priced = (plan: SearchPlan, filtered: boolean): SearchPlan =>
  filtered && plan.mode === MODE.ivf ? { ...plan, mode: scanMode(plan) } : plan

/** What is expected of a search at this moment. */
export interface Outlook {
  /** Microseconds a query. */
  readonly perQuery: number
  /** Most parts that its rows are split into. */
  readonly shards: number
}

/** Under a filter the cost is an upper bound: what it leaves out is not known before it ran. */
export const outlookOf = ({ cost, choice, memory, passing }: Search): Outlook => {
  const { rows } = memory.directory
  const operations = passing?.operations() ?? 0
  const whole = plan(choice, memory.columns, rows, 0, operations > 0)
  const { keep, fetch = 0, fast, lambda = 1 } = whole
  const known = priced(whole, operations > 0)
  const us =
    cost.microseconds(known, scannedRows(known, memory), 1) +
    cost.rankingMicroseconds(rankedElements(known, memory)) +
    cost.filterMicroseconds(operations, rows)
  return {
    perQuery: us + cost.diversityMicroseconds(keep, fetch, fast && keepsWorth({ keep, lambda }, fetch)),
    shards: mostShards(whole)
  }
}

/**
 * Most shards of the rows that together find what the whole does and are merged in less than a turn. Lists have none: a
 * query that visits few of them is short. A walk has no part of the rows to itself, and the diverse hits of parts would
 * not be those of all.
 */
const mostShards = ({ mode, keep, rerank, fetch = 0 }: SearchPlan): number =>
  mode === MODE.ivf || mode === MODE.hnsw || fetch > 0
    ? 1
    : Math.max(1, Math.floor(MOST_MERGED / Math.max(keep, rerank)))

/** The plan of one run and its filter, and whether its hits count: nothing that they depend on has changed since. */
const begin = (search: Search, claim: number) => {
  const { memory, choice, passing } = search
  const { directory } = memory
  // Read before the memory they speak of: what changes from here on is seen as a change.
  const { codeSet, changes, growth, moved, rows } = directory
  memory.sync()
  const { moves } = directory
  const asked = passing?.filter()
  const whole = plan(choice, memory.columns, rows, directory.cancelWord(claim), asked !== undefined)
  const filter = asked && passing?.lend(asked, changes, whole.toBlock)
  const counts = (complete: boolean): boolean =>
    directory.codeSet === codeSet &&
    // An entry that was moved in the middle may have been looked for where it was not yet, and where it was no more.
    directory.moves === moves &&
    (moves & 1) === 0 &&
    // A list that was written anew into blocks made since cannot be walked by the columns of then.
    (whole.mode !== MODE.ivf || directory.growth === growth) &&
    (complete || (directory.changes === changes && directory.moved === moved))
  return { whole, filter, asked, counts, moved }
}

/** Arrays of the last search in place: it is over before the next one begins, which most often wants as many hits. */
let lastHits = newHits(1, 10)
const hitsInPlace = (queries: number, keep: number): Hits => {
  if (lastHits.counts.length !== queries || lastHits.rows.length !== queries * keep) lastHits = newHits(queries, keep)
  return lastHits
}

/** Searches on this thread. */
export const searchInPlace = (search: Search): void => {
  const { memory, cost, queries, count } = search
  const claim = claimEpoch(memory)
  try {
    for (let run = 1; ; run++) {
      const { whole, filter, asked, counts, moved } = begin(search, claim)
      const hits = hitsInPlace(count, whole.keep)
      const start = performance.now()
      memory.kernels.search(whole, memory.columns, queries, memory.directory.words, hits, filter)
      const microseconds = (performance.now() - start) * 1000
      // What a filter left out was not scanned: its time says nothing of a row.
      if (filter === undefined || cost.isOfOneFilter) {
        observed(search, priced(whole, filter !== undefined), count, microseconds)
      }
      if (filter !== undefined) search.passing?.filled(filter)
      const isWhole = addMoved({ ...search, whole, filter: asked }, hits, moved)
      if ((counts(read(search, whole, hits)) && isWhole) || run === MAX_RUNS) return
    }
  } finally {
    memory.directory.release(claim, memory.reader)
  }
}

const read = ({ reader, count }: Search, { keep }: SearchPlan, hits: Hits): boolean => {
  let complete = true
  for (let query = 0; query < count; query++) {
    const one = reader(query)
    const from = query * keep
    const to = from + hits.counts[query]!
    for (let i = from; i < to; i++) one.take(hits, i)
    complete = one.isComplete() && complete
  }
  return complete
}

/** A search that pool workers run. */
export interface Running {
  /** Settles when the hits have been read and nobody reads under the claim of the search any more. */
  readonly done: Promise<void>
  /** Stops native work between blocks; what is read from then on is not all there is. */
  readonly cancel: () => void
}

/**
 * Searches in `shards` parts, each over a share of the rows, one worker each. `onScanned` is called once, when the
 * workers have found what there is: reading is left to be done. One that fails does not call it.
 */
export const searchInPool = (pool: Pool["Service"], search: Search, shards: number, onScanned: () => void): Running => {
  const { directory, reader } = search.memory
  const claim = claimEpoch(search.memory)
  let cancelled = false
  let released = false
  const run = async () => {
    try {
      for (let run = 1; ; run++) {
        const { whole, filter, asked, counts, moved } = begin(search, claim)
        const hits = await scanInPool(pool, search, whole, filter, shards)
        if (run === 1) onScanned()
        if (cancelled) return
        if (filter !== undefined) search.passing?.filled(filter)
        const isWhole = await addMovedInPool(pool, { ...search, whole, filter: asked }, hits, moved)
        if ((counts(await readSliced(search, whole, hits)) && isWhole) || cancelled || run === MAX_RUNS) return
      }
    } finally {
      released = true
      directory.release(claim, reader)
    }
  }
  const cancel = () => {
    cancelled = true
    // The claim may be another's by then.
    if (!released) directory.cancel(claim)
  }
  return { done: run(), cancel }
}

const scanInPool = async (
  pool: Pool["Service"],
  search: Search,
  whole: SearchPlan,
  filter: Filter | undefined,
  shards: number
): Promise<Hits> => {
  const { memory, queries, count } = search
  const handle = memory.handle()
  // What memory has become since the search was split may not be.
  const parts = Math.min(shards, mostShards(whole))
  const plans = parts === 1 ? [whole] : Array.from({ length: parts }, (_, i) => shard(whole, i, parts))
  // All of them: none may still be reading when the claim is released.
  const results = await Promise.allSettled(
    plans.map((plan) => runOnMemory<SearchDone>(pool, "search", { plan, queries, filter }, handle, true))
  )
  const found = results.map((result, i) => {
    if (result.status === "rejected") throw result.reason
    if (filter === undefined || search.cost.isOfOneFilter) {
      observed(search, priced(plans[i]!, filter !== undefined), count, result.value.microseconds)
    }
    return result.value.hits
  })
  return plans.length === 1 ? found[0]! : merge(found, whole, count, filter !== undefined)
}

/** As `read`, leaving room for others on the event loop: a batch can find hundreds of thousands of hits. */
const readSliced = async ({ reader, count }: Search, { keep }: SearchPlan, hits: Hits): Promise<boolean> => {
  let complete = true
  let sinceLook = 0
  for (let query = 0; query < count; query++) {
    const one = reader(query)
    const from = query * keep
    const to = from + hits.counts[query]!
    for (let i = from; i < to; i++) {
      if (sinceLook++ === HITS_A_LOOK) {
        sinceLook = 0
        if (leftInTurn() < TURN_MS - READ_MS) await inNextTurn()
      }
      one.take(hits, i)
    }
    complete = one.isComplete() && complete
  }
  return complete
}

/** Live rows that pass a filter, of all that there are at this moment. */
export const countRows = (memory: Searchable, filter: Filter): number => {
  for (let run = 1; ; run++) {
    memory.sync()
    const { moves, moved, rows: slots } = memory.directory
    const { layout, rows } = memory.columns
    const blocks = Math.min(Math.ceil(slots / BLOCK), rows.length * BLOCKS)
    const count = memory.kernels.filterRows(layout.liveOffset, rows, filter, new Uint32Array(2 * blocks))
    const isWhole = (moves & 1) === 0 && memory.directory.moves === moves && memory.directory.moved === moved
    if (isWhole || run === MAX_RUNS) return count
  }
}
