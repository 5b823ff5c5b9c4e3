/**
 * Measures the recall and the cost of settings on a sample of stored vectors against an exact search. Each is searched
 * for as if neither it nor its equals were stored: a query of a caller's would not find itself either.
 */

import { type Calibration, frontier, type Setting } from "../calibration.ts"
import type { Hits, SearchPlan } from "../kernels/contract.ts"
import { MODE } from "../kernels/shape.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { allSettled } from "../settled.ts"
import { forEachSliced } from "../slice.ts"
import { claimEpoch, type Searchable } from "../store/searchable.ts"
import { marginsFor, NPROBE_FACTOR } from "./margins.ts"
import { plan, type SearchChoice } from "./plan.ts"
import type { SearchDone } from "./task.ts"

/** Stored vectors that serve as queries. */
export const CALIBRATION_QUERIES = 256
/** Hits that curves are made for. */
export const KS = [10, 100]
/** Candidates of each measured search: recall at every smaller depth follows from their order. */
const DEPTH = 512
export const DEPTHS = [10, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512]
/** Shares of the lists that queries of the measured settings usually visit. */
const PROBED = [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64].map((n) => n / 128)
/** Queries of one task. */
const TASK_QUERIES = 8

/** Queries, and the rows that they are themselves. */
export interface CalibrationSample {
  readonly rows: Uint32Array
  readonly vectors: Float32Array
}

/** Curves for the columns in force; the settings are those of `flat`, and of `ivf` where there are lists, or of `pq`. */
export const calibrate = async (
  memory: Searchable,
  pool: Pool["Service"],
  sample: CalibrationSample
): Promise<Calibration> => {
  const claim = claimEpoch(memory)
  try {
    const cancel = memory.directory.cancelWord(claim)
    const search = ({ margin, ...choice }: SearchChoice & { readonly margin?: number }) =>
      searchAll(memory, pool, sample, {
        ...plan(choice, memory.columns, memory.directory.rows, cancel),
        ...(margin !== undefined && { margin })
      })
    const exact = await search({ mode: MODE.exact, keep: KS.at(-1)! + 1, rerank: 0, nprobe: 0, recall: undefined })
    const curves = KS.map((k) => ({ k, settings: [] as Array<Setting> }))
    for (const way of await waysToScan(memory, sample)) {
      const scan = await search({ ...way, keep: 1, rerank: 0, recall: undefined })
      const deep = await search({ ...way, keep: DEPTH, rerank: DEPTH, recall: undefined })
      const candidateUs = Math.max(0, deep.us - scan.us) / DEPTH
      for (const { k, settings } of curves) {
        const places = await placesOfNearest(exact.hits, deep.hits, sample.rows, k)
        for (const rerank of DEPTHS.filter((depth) => depth >= k)) {
          settings.push({ ...way, rerank, ...recallWithin(places, rerank), us: scan.us + rerank * candidateUs })
        }
      }
    }
    return {
      rows: memory.directory.live,
      queries: sample.rows.length,
      curves: curves.map(({ k, settings }) => ({ k, settings: frontier(settings) }))
    }
  } finally {
    memory.directory.release(claim, memory.reader)
  }
}

type WayToScan = Pick<Setting, "mode" | "nprobe" | "margin">

const waysToScan = async (memory: Searchable, sample: CalibrationSample): Promise<ReadonlyArray<WayToScan>> => {
  const { layout, lists } = memory.columns
  if (layout.subspaces > 0) return [{ mode: MODE.pq, nprobe: 0 }]
  const flat = { mode: MODE.flat, nprobe: 0 }
  if (lists === undefined) return [flat]
  const count = lists.heads.length
  const usual = [...new Set(PROBED.map((share) => Math.max(1, Math.round(share * count))))]
  const margins = await marginsFor(memory, lists, sample.vectors, usual)
  const ofLists = (probed: number, i: number) => ({
    mode: MODE.ivf,
    nprobe: Math.min(count, NPROBE_FACTOR * probed),
    margin: margins[i]!
  })
  return [flat, ...usual.map(ofLists)]
}

interface Searched {
  /** The hits of each task in turn. */
  readonly hits: ReadonlyArray<Hits>
  /** Microseconds a query in the quickest quarter of tasks: what else a machine does only makes them slower. */
  readonly us: number
}

export const searchAll = async (
  memory: Searchable,
  pool: Pool["Service"],
  { vectors, rows }: CalibrationSample,
  plan: SearchPlan
): Promise<Searched> => {
  const handle = memory.handle()
  const { dimensions } = memory.shape
  const tasks = Array.from({ length: Math.ceil(rows.length / TASK_QUERIES) }, (_, task) => {
    const queries = vectors.slice(task * TASK_QUERIES * dimensions, (task + 1) * TASK_QUERIES * dimensions)
    return runOnMemory<SearchDone>(pool, "search", { plan, queries }, handle)
  })
  const done = await allSettled(tasks)
  const each = done.map(({ microseconds, hits }) => microseconds / hits.counts.length).sort((a, b) => a - b)
  return { hits: done.map(({ hits }) => hits), us: each[each.length >> 2] ?? 0 }
}

/** Relative difference of scores that rounding explains. */
const ROUNDING = 1e-6

/** Where the hits of a query lie in the arrays of its task. */
const placesOf = (parts: ReadonlyArray<Hits>, query: number): { hits: Hits; places: Array<number> } => {
  const hits = parts[Math.floor(query / TASK_QUERIES)]!
  const from = (query % TASK_QUERIES) * (hits.rows.length / hits.counts.length)
  return { hits, places: Array.from({ length: hits.counts[query % TASK_QUERIES]! }, (_, i) => from + i) }
}

/** The `k` nearest of a query, as how many candidates come before each by estimate; missing ones are left out. */
export interface Places {
  readonly wanted: number
  /** Whether a walk may be led by what equals the query. */
  readonly hasEquals: boolean
  readonly before: ReadonlyArray<number>
}

/**
 * A candidate counts when its score is at least that of the `k`-th nearest: of rows that are equally near, any will do.
 * Rows set aside count neither as near nor as found.
 */
export const placesOfNearest = async (
  exact: ReadonlyArray<Hits>,
  deep: ReadonlyArray<Hits>,
  own: Uint32Array,
  k: number,
  isAside: (row: number) => boolean = () => false
): Promise<ReadonlyArray<Places>> => {
  const found: Array<Places> = []
  await forEachSliced(own.length, undefined, (query) => {
    const truth = placesOf(exact, query)
    const self = truth.places.find((at) => truth.hits.rows[at] === own[query])
    const score = self === undefined ? Number.NaN : truth.hits.scores[self]!
    const isIn = (hits: Hits) => (at: number) => hits.rows[at] !== own[query] && !isAside(hits.rows[at]!)
    const isEqual = ({ scores }: Hits, at: number) => Math.abs(scores[at]! - score) <= ROUNDING * Math.abs(score)
    const isOther = (hits: Hits) => (at: number) => isIn(hits)(at) && !isEqual(hits, at)
    const nearest = truth.places.filter(isOther(truth.hits))
    const wanted = Math.min(k, nearest.length)
    const least = truth.hits.scores[nearest[wanted - 1]!]!
    const { hits, places } = placesOf(deep, query)
    const candidates = places.filter(isOther(hits))
    candidates.sort((a, b) => hits.estimates[b]! - hits.estimates[a]! || hits.rows[a]! - hits.rows[b]!)
    const before: Array<number> = []
    for (const [place, at] of candidates.entries()) if (hits.scores[at]! >= least) before.push(place)
    const hasEquals = self === undefined || truth.places.filter(isIn(truth.hits)).length > nearest.length
    found.push({ wanted, hasEquals, before: before.slice(0, wanted) })
  })
  return found
}

/** What is found of the nearest among the first `rerank` candidates: the mean share and its standard error. */
export const recallWithin = (queries: ReadonlyArray<Places>, rerank: number): Pick<Setting, "recall" | "error"> => {
  const shares = queries
    .filter(({ wanted }) => wanted > 0)
    .map(({ wanted, before }) => before.filter((place) => place < rerank).length / wanted)
  // All equal: nothing was measured, and nothing is promised.
  if (shares.length === 0) return { recall: 0, error: 0 }
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length
  const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length
  return { recall: mean, error: Math.sqrt(variance / shares.length) }
}
