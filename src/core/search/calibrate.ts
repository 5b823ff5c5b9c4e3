/**
 * Measures the recall and the cost of settings on a sample of stored vectors against an exact search. Each is searched
 * for as if neither it nor its equals were stored: a query of a caller's would not find itself either.
 */

import { type Calibration, frontier, type Setting } from "../calibration.ts"
import type { SearchPlan } from "../kernels/contract.ts"
import { MODE, NPROBE_FACTOR } from "../kernels/shape.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { allSettled } from "../settled.ts"
import { type Searchable, whileClaimed } from "../store/searchable.ts"
import { plan, type SearchChoice, scanMode } from "./plan.ts"
import type { MeasureDone, SearchDone } from "./task.ts"
import { type Found, recallOf, type Truth } from "./truth.ts"

/** Stored vectors that serve as queries. */
export const CALIBRATION_QUERIES = 256
/** Hits that curves are made for. */
export const KS = [10, 100]
/** Candidates of each measured search: recall at every smaller depth follows from their order. */
const DEPTH = 512
export const DEPTHS = [10, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512]
/** Nearest rows of a query that are looked at: those it asks for lie behind all that equal it. */
const EXACT_HITS = 512
/** Shares of the lists that queries of the measured settings usually visit. */
const PROBED = [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64].map((n) => n / 128)
/** Queries of one task. */
const TASK_QUERIES = 8

/** Queries, and the rows that they are themselves. */
export interface CalibrationSample {
  readonly rows: Uint32Array
  readonly vectors: Float32Array
}

/** Curves for the columns in force; the settings are those of `flat` or `pq`, and of `ivf` where there are lists. */
export const calibrate = async (
  memory: Searchable,
  pool: Pool["Service"],
  sample: CalibrationSample,
  signal?: AbortSignal
): Promise<Calibration> =>
  whileClaimed(memory, signal, async (cancel) => {
    const planned = ({ margin, ...choice }: SearchChoice & { readonly margin?: number }) => ({
      ...plan(choice, memory.columns, memory.directory.rows, cancel),
      ...(margin !== undefined && { margin })
    })
    const exact = planned({ mode: MODE.exact, keep: EXACT_HITS, rerank: 0, nprobe: 0, recall: undefined })
    const truths = await truthsOf(memory, pool, sample, exact)
    const curves = KS.map((k) => ({ k, settings: [] as Array<Setting> }))
    for (const way of await waysToScan(memory, pool, sample)) {
      signal?.throwIfAborted()
      const scanUs = await timeOf(memory, pool, sample, planned({ ...way, keep: 1, rerank: 0, recall: undefined }))
      // A search for few hits is content with what few lists hold: so is this one, deep as it is.
      const deep = { ...planned({ ...way, keep: DEPTH, rerank: DEPTH, recall: undefined }), wanted: KS[0] }
      const { found, us, candidates } = await foundBy(memory, pool, sample, deep, truths, DEPTHS)
      const candidateUs = Math.max(0, us - scanUs) / Math.max(1, candidates)
      for (const { k, settings } of curves) {
        for (const rerank of DEPTHS.filter((depth) => depth >= k)) {
          const recall = recallOf(truths, found, k, rerank)
          settings.push({ ...way, rerank, ...recall, us: scanUs + Math.min(rerank, candidates) * candidateUs })
        }
      }
    }
    // What was cancelled found nothing: that is no measurement.
    signal?.throwIfAborted()
    return {
      rows: memory.directory.live,
      queries: sample.rows.length,
      curves: curves.map(({ k, settings }) => ({ k, settings: frontier(settings) }))
    }
  })

type WayToScan = Pick<Setting, "mode" | "nprobe" | "margin">

const waysToScan = async (
  memory: Searchable,
  pool: Pool["Service"],
  sample: CalibrationSample
): Promise<ReadonlyArray<WayToScan>> => {
  const { layout, lists } = memory.columns
  const whole = { mode: scanMode(layout), nprobe: 0 }
  if (lists === undefined) return [whole]
  const count = lists.heads.length
  const usual = [...new Set(PROBED.map((share) => Math.max(1, Math.round(share * count))))]
  const margins = await meanMargins(memory, pool, sample, usual)
  const ofLists = (probed: number, i: number) => ({
    mode: MODE.ivf,
    nprobe: Math.min(count, NPROBE_FACTOR * probed),
    margin: margins[i]!
  })
  return [whole, ...usual.map(ofLists)]
}

/** For each of `counts`, the mean margin by which queries visit so many lists. */
const meanMargins = async (
  memory: Searchable,
  pool: Pool["Service"],
  sample: CalibrationSample,
  counts: ReadonlyArray<number>
): Promise<ReadonlyArray<number>> => {
  const parts = await inTasks<ReadonlyArray<number>>(memory, pool, sample, "margins", () => ({ counts }))
  return counts.map((_, at) => parts.reduce((sum, part) => sum + part[at]!, 0) / sample.rows.length)
}

/** Runs a task for each few queries of a sample, `part` being what it is told besides them. */
const inTasks = async <A>(
  memory: Searchable,
  pool: Pool["Service"],
  { vectors, rows }: CalibrationSample,
  name: string,
  part: (task: number, rows: Uint32Array) => object
): Promise<Array<A>> => {
  const handle = memory.handle()
  const { dimensions } = memory.shape
  const tasks = Array.from({ length: Math.ceil(rows.length / TASK_QUERIES) }, (_, task) => {
    const [from, to] = [task * TASK_QUERIES, (task + 1) * TASK_QUERIES]
    const queries = vectors.slice(from * dimensions, to * dimensions)
    return runOnMemory<A>(pool, name, { ...part(task, rows.slice(from, to)), queries }, handle)
  })
  return allSettled(tasks)
}

/** Microseconds a query in the quickest quarter of tasks: what else a machine does only makes them slower. */
const quickQuarter = (times: ReadonlyArray<number>): number => times.toSorted((a, b) => a - b)[times.length >> 2] ?? 0

/** What `exact` says is nearest to each query of a sample, by task. */
export const truthsOf = (
  memory: Searchable,
  pool: Pool["Service"],
  sample: CalibrationSample,
  exact: SearchPlan,
  aside = new Uint32Array(0)
): Promise<ReadonlyArray<Truth>> =>
  inTasks<Truth>(memory, pool, sample, "truth", (_, rows) => ({ plan: exact, asked: { rows, aside, ks: KS } }))

/** What of that a plan finds, its microseconds a query, and how many candidates one has. */
export const foundBy = async (
  memory: Searchable,
  pool: Pool["Service"],
  sample: CalibrationSample,
  plan: SearchPlan,
  truths: ReadonlyArray<Truth>,
  depths: ReadonlyArray<number>
): Promise<{ readonly found: ReadonlyArray<Found>; readonly us: number; readonly candidates: number }> => {
  const part = (task: number) => ({ plan, truth: truths[task], depths })
  const done = await inTasks<MeasureDone>(memory, pool, sample, "measure", part)
  const candidates = done.reduce((sum, { candidates }) => sum + candidates, 0) / sample.rows.length
  return { found: done.map(({ found }) => found), us: quickQuarter(done.map(({ queryUs }) => queryUs)), candidates }
}

/** Microseconds a query of a plan. */
export const timeOf = async (
  memory: Searchable,
  pool: Pool["Service"],
  sample: CalibrationSample,
  plan: SearchPlan
): Promise<number> => {
  const done = await inTasks<SearchDone>(memory, pool, sample, "search", () => ({ plan }))
  return quickQuarter(done.map(({ microseconds, hits }) => microseconds / hits.counts.length))
}
