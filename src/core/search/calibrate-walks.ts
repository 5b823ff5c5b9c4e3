/**
 * Measures the recall and the cost of walks. A stored vector that is linked is led to by its own links, so a walk for
 * it finds more than a walk for a new query: those that serve as queries are set aside while recall is measured, and
 * back in their place while time is. One that equals another is led to by the links of that, and left out.
 */
import { type Curve, frontier, type Setting } from "../calibration.ts"
import { MODE } from "../kernels/shape.ts"
import type { Pool } from "../pool.ts"
import type { Graph } from "../store/graph.ts"
import { whileClaimed } from "../store/searchable.ts"
import { setAside } from "../store/set-aside.ts"
import type { Store } from "../store/store.ts"
import { type CalibrationSample, DEPTHS, foundBy, KS, timeOf, truthsOf } from "./calibrate.ts"
import { plan, type SearchChoice } from "./plan.ts"
import { type Found, recallOf, type Truth } from "./truth.ts"

/** Nearest rows kept that are measured. */
const EFS = [12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 256, 384, 512]
/** Fewest queries that say anything. */
const LEAST_QUERIES = 128
/** Nearest rows of a query that are looked at: the nearest of what is not set aside are among them. */
const EXACT_HITS = 256

/** Curves of mode hnsw; none where walks cannot be measured. Nobody may write links meanwhile. */
export const calibrateWalks = async (
  store: Store,
  graph: Graph,
  pool: Pool["Service"],
  all: CalibrationSample,
  signal?: AbortSignal
): Promise<ReadonlyArray<Curve>> =>
  whileClaimed(store, signal, async (cancel) => {
    const planned = (choice: Omit<SearchChoice, "nprobe" | "recall">) =>
      plan({ ...choice, nprobe: 0, recall: undefined }, store.columns, store.directory.rows, cancel)
    const walk = (efSearch: number, keep: number) => planned({ mode: MODE.hnsw, keep, rerank: keep, efSearch })
    if (walk(1, 1).mode !== MODE.hnsw) return []
    const aside = await setAside(store, graph, all.rows)
    const sample = partOf(all, aside.rows, store.shape.dimensions)
    const walked = new Map<number, ReadonlyArray<Found>>()
    let truths: ReadonlyArray<Truth>
    try {
      if (aside.rows.size < LEAST_QUERIES) return []
      const exact = planned({ mode: MODE.exact, keep: EXACT_HITS, rerank: 0 })
      truths = await truthsOf(store, pool, sample, exact, Uint32Array.from(aside.rows))
      for (const efSearch of EFS) {
        signal?.throwIfAborted()
        const { found } = await foundBy(store, pool, sample, walk(efSearch, efSearch), truths, depthsOf(efSearch))
        walked.set(efSearch, found)
      }
    } finally {
      aside.restore()
    }
    const unequalled = truths.reduce((sum, { hasEquals }) => sum + hasEquals.filter((has) => has === 0).length, 0)
    if (unequalled < LEAST_QUERIES) return []
    const curves = KS.map((k) => ({ k, settings: [] as Array<Setting> }))
    let walkUs = Number.POSITIVE_INFINITY
    let candidateUs = Number.POSITIVE_INFINITY
    // Keeping less costs no more: what was measured to was interrupted.
    for (const efSearch of EFS.toReversed()) {
      signal?.throwIfAborted()
      const oneUs = await timeOf(store, pool, sample, walk(efSearch, 1))
      const deepUs = await timeOf(store, pool, sample, walk(efSearch, efSearch))
      walkUs = Math.min(walkUs, oneUs)
      candidateUs = Math.min(candidateUs, Math.max(0, deepUs - oneUs) / efSearch)
      for (const { k, settings } of curves) {
        for (const rerank of depthsOf(efSearch).filter((depth) => depth >= k)) {
          const recall = recallOf(truths, walked.get(efSearch)!, k, rerank, true)
          settings.push({ mode: MODE.hnsw, nprobe: 0, rerank, efSearch, ...recall, us: walkUs + rerank * candidateUs })
        }
      }
    }
    signal?.throwIfAborted()
    return curves.flatMap(({ k, settings }) => (settings.length > 0 ? [{ k, settings: frontier(settings) }] : []))
  })

/** Candidates that are scored again of so many that a walk keeps. */
const depthsOf = (efSearch: number): ReadonlyArray<number> => [...DEPTHS.filter((depth) => depth < efSearch), efSearch]

/** Those of a sample that are among `wanted`. */
const partOf = (
  { rows, vectors }: CalibrationSample,
  wanted: ReadonlySet<number>,
  dimensions: number
): CalibrationSample => {
  const kept = Array.from(rows.keys()).filter((i) => wanted.has(rows[i]!))
  const part = new Float32Array(kept.length * dimensions)
  for (const [at, i] of kept.entries()) {
    part.set(vectors.subarray(i * dimensions, (i + 1) * dimensions), at * dimensions)
  }
  return { rows: Uint32Array.from(kept, (i) => rows[i]!), vectors: part }
}
