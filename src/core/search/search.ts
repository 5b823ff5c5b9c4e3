/**
 * One search, from a choice of options to the rows it found: where it runs, in how many parts,
 * and again when the memory changed under it.
 */
import * as Effect from "effect/Effect"
import type { SabineError } from "../errors.ts"
import type { Hits, SearchPlan } from "../kernels/contract.ts"
import { MODE } from "../kernels/shape.ts"
import { attempt, failed } from "../lift.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { BLOCK } from "../store/layout.ts"
import { claimEpoch, type Searchable } from "../store/searchable.ts"
import { IN_PLACE_US, type ScanCost } from "./cost.ts"
import { concatenate, merge, newHits } from "./hits.ts"
import { plan, type SearchChoice, shard } from "./plan.ts"
import type { SearchDone } from "./task.ts"

/** Where and how a thread searches. */
export interface Searching {
  readonly memory: Searchable
  readonly pool: Pool["Service"]
  readonly cost: ScanCost
}

/** What the reader of hits made of them; `complete` is false when some had vanished. */
export interface Used<A> {
  readonly value: A
  readonly complete: boolean
}

/** Times a search is run again because codes were replaced or rows vanished while it ran. */
const MAX_RUNS = 4
/** Queries that share one pass over memory: the most that a native scan takes at a time. */
const QUERIES_A_PASS = 8

/**
 * Searches for each of `queries` (`count x dimensions`, checked by the caller) and hands the hits
 * to `use` while their rows can still be read.
 */
export const searchRows = <A>(
  { memory, pool, cost }: Searching,
  queries: Float32Array,
  choice: SearchChoice,
  use: (hits: Hits) => Used<A>
): Effect.Effect<A, SabineError> =>
  Effect.acquireUseRelease(
    attempt(() => claimEpoch(memory)),
    Effect.fnUntraced(function* (claim) {
      for (let run = 1; ; run++) {
        // Read before the memory they speak of: what changes from here on is seen as a change.
        const { codeSet, changes, rows } = memory.directory
        yield* attempt(() => memory.sync())
        const whole = plan(choice, memory.columns, rows, memory.directory.cancelWord(claim))
        const work: Work = { whole, queries, count: queries.length / memory.shape.dimensions }
        const hits =
          microseconds({ memory, pool, cost }, whole, work.count) <= IN_PLACE_US
            ? scanInPlace(memory, cost, work)
            : yield* scanInPool({ memory, pool, cost }, work, claim)
        const { value, complete } = use(hits)
        const moved = memory.directory.codeSet !== codeSet || (!complete && memory.directory.changes !== changes)
        if (!moved || run === MAX_RUNS) return value
      }
    }),
    (claim) => Effect.sync(() => memory.directory.release(claim, memory.reader))
  )

interface Work {
  readonly whole: SearchPlan
  readonly queries: Float32Array
  readonly count: number
}

/** Rows whose codes or vectors a query meets: of inverted lists, as many as there are in lists of the mean length. */
const scannedRows = (plan: SearchPlan, { columns }: Searchable): number => {
  const rows = (plan.toBlock - plan.fromBlock) * BLOCK
  const lists = columns.lists?.heads.length ?? 1
  return plan.mode === MODE.ivf ? (rows * plan.nprobe) / lists : rows
}

const microseconds = ({ memory, cost }: Searching, plan: SearchPlan, queries: number): number =>
  cost.microseconds(plan, scannedRows(plan, memory), queries)

const scanInPlace = (memory: Searchable, cost: ScanCost, { whole, queries, count }: Work): Hits => {
  const hits = newHits(count, whole.keep)
  const start = performance.now()
  memory.kernels.search(whole, memory.columns, queries, memory.directory.words, hits)
  cost.observe(whole, scannedRows(whole, memory), count, (performance.now() - start) * 1000)
  return hits
}

const scanInPool = (
  { memory, pool, cost }: Searching,
  { whole, queries, count }: Work,
  claim: number
): Effect.Effect<Hits, SabineError> =>
  Effect.callback((resume) => {
    const { dimensions } = memory.shape
    const parts = split(whole, count, pool.threads, microseconds({ memory, pool, cost }, whole, count))
    const handle = memory.handle()
    const runs = parts.map(({ plan, from, to }) => {
      const task = { plan, queries: queries.slice(from * dimensions, to * dimensions) }
      return runOnMemory<SearchDone>(pool, "search", task, handle)
    })
    // The claim is released after this: no worker may still be reading under it.
    const settled = Promise.allSettled(runs)
    const joined = settled.then((results) => {
      const found = results.map((result, i) => {
        if (result.status === "rejected") throw result.reason
        const { plan, from, to } = parts[i]!
        cost.observe(plan, scannedRows(plan, memory), to - from, result.value.microseconds)
        return result.value.hits
      })
      return parts[0]!.plan === whole ? concatenate(found, whole.keep) : merge(found, whole, count)
    })
    joined.then(
      (hits) => resume(Effect.succeed(hits)),
      (error) => resume(failed(error))
    )
    return Effect.promise(() => {
      memory.directory.cancel(claim)
      return settled
    })
  })

/** A part of a search that one worker runs: a group of queries, or a shard of the rows. */
interface Part {
  readonly plan: SearchPlan
  readonly from: number
  readonly to: number
}

const split = (whole: SearchPlan, count: number, threads: number, microseconds: number): ReadonlyArray<Part> => {
  const useful = Math.max(1, Math.ceil(microseconds / IN_PLACE_US))
  if (count < threads * QUERIES_A_PASS) {
    // Lists are not split: a query that visits few of them is short, and many queries are split among threads.
    const shards = whole.mode === MODE.ivf ? 1 : Math.min(threads, useful)
    if (shards === 1) return [{ plan: whole, from: 0, to: count }]
    return Array.from({ length: shards }, (_, i) => ({ plan: shard(whole, i, shards), from: 0, to: count }))
  }
  const passes = Math.ceil(count / QUERIES_A_PASS)
  const size = Math.ceil(passes / Math.min(passes, Math.max(threads, useful))) * QUERIES_A_PASS
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    plan: whole,
    from: i * size,
    to: Math.min(count, (i + 1) * size)
  }))
}
