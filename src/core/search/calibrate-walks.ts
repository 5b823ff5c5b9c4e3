/**
 * Measures the recall and the cost of walks. A stored vector that is linked is led to by its own links, so a walk for
 * it finds more than a walk for a new query: those that serve as queries are set aside while recall is measured, and
 * back in their place while time is. One that equals another is led to by the links of that, and left out.
 */
import { type Curve, frontier, type Setting } from "../calibration.ts"
import { MODE } from "../kernels/shape.ts"
import type { Pool } from "../pool.ts"
import type { Graph } from "../store/graph.ts"
import { claimEpoch } from "../store/searchable.ts"
import { setAside } from "../store/set-aside.ts"
import type { Store } from "../store/store.ts"
import {
  type CalibrationSample,
  DEPTHS,
  KS,
  type Places,
  placesOfNearest,
  recallWithin,
  searchAll
} from "./calibrate.ts"
import { plan, type SearchChoice } from "./plan.ts"

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
  all: CalibrationSample
): Promise<ReadonlyArray<Curve>> => {
  const claim = claimEpoch(store)
  try {
    const cancel = store.directory.cancelWord(claim)
    const planned = (choice: Omit<SearchChoice, "nprobe" | "recall">) =>
      plan({ ...choice, nprobe: 0, recall: undefined }, store.columns, store.directory.rows, cancel)
    const walk = (efSearch: number, keep: number) => planned({ mode: MODE.hnsw, keep, rerank: keep, efSearch })
    if (walk(1, 1).mode !== MODE.hnsw) return []
    const aside = await setAside(store, graph, all.rows)
    const sample = partOf(all, aside.rows, store.shape.dimensions)
    const curves = KS.map((k) => ({ k, places: [] as Array<Walked>, settings: [] as Array<Setting> }))
    try {
      if (aside.rows.size < LEAST_QUERIES) return []
      const exact = await searchAll(store, pool, sample, planned({ mode: MODE.exact, keep: EXACT_HITS, rerank: 0 }))
      for (const efSearch of EFS) {
        const { hits } = await searchAll(store, pool, sample, walk(efSearch, efSearch))
        for (const { k, places } of curves) {
          if (efSearch < k) continue
          const isAside = (row: number) => aside.rows.has(row)
          const found = await placesOfNearest(exact.hits, hits, sample.rows, k, isAside)
          places.push({ efSearch, places: found.filter(({ hasEquals }) => !hasEquals) })
        }
      }
    } finally {
      aside.restore()
    }
    let walkUs = Number.POSITIVE_INFINITY
    let candidateUs = Number.POSITIVE_INFINITY
    // Keeping less costs no more: what was measured to was interrupted.
    for (const efSearch of EFS.toReversed()) {
      const one = await searchAll(store, pool, sample, walk(efSearch, 1))
      const deep = await searchAll(store, pool, sample, walk(efSearch, efSearch))
      walkUs = Math.min(walkUs, one.us)
      candidateUs = Math.min(candidateUs, Math.max(0, deep.us - one.us) / efSearch)
      for (const { k, places, settings } of curves) {
        const walked = places.find((other) => other.efSearch === efSearch)
        if (walked === undefined || walked.places.length < LEAST_QUERIES) continue
        for (const rerank of new Set([...DEPTHS.filter((depth) => depth >= k && depth < efSearch), efSearch])) {
          const found = recallWithin(walked.places, rerank)
          settings.push({ mode: MODE.hnsw, nprobe: 0, rerank, efSearch, ...found, us: walkUs + rerank * candidateUs })
        }
      }
    }
    return curves.flatMap(({ k, settings }) => (settings.length > 0 ? [{ k, settings: frontier(settings) }] : []))
  } finally {
    store.directory.release(claim, store.reader)
  }
}

interface Walked {
  readonly efSearch: number
  /** Of the queries that nothing in the graph equals. */
  readonly places: ReadonlyArray<Places>
}

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
