/**
 * What a scan costs on this machine, learned from the scans that ran.
 *
 * It decides where a search runs. A hop to a pool worker takes 10 to 35 us, so work shorter than
 * some ten hops runs in place; longer work would hold the event loop.
 */
import type { SearchPlan } from "../kernels/contract.ts"
import { CODE_BITS, CODE_BYTES, MODE } from "../kernels/shape.ts"
import type { StoreShape } from "../store/memory.ts"

/** Longest estimated work that runs on the calling thread, in microseconds. */
export const IN_PLACE_US = 300
/** Scans shorter than this many rows measure their fixed part, not a row. */
const LEAST_ROWS = 8192
/** How much less a vector in the cache takes than one that lies anywhere. */
const DIVERSITY_SPEEDUP = 4
/** Of so many diverse hits each candidate is compared with half, of fewer with less. */
const LAZY_HITS = 60
/** How much less a choice from a part of the candidates takes. */
const FAST_SPEEDUP = 4
const SMOOTHING = 0.1
/** A scan that took more than so many times what was expected was interrupted: it says no more than that. */
const LARGEST_SURPRISE = 4

/** What of a plan decides its cost beside the rows. */
type Priced = Pick<SearchPlan, "mode" | "rerank" | "efSearch">

/** What a search takes time for: rows of a scan, or steps of a walk. */
const unitsOf = ({ mode, efSearch = 0 }: Priced, rows: number): number =>
  mode === MODE.hnsw ? Math.min(efSearch, rows) : rows

export class ScanCost {
  /** Nanoseconds a row, or step of a walk, and query, by mode. */
  readonly #unitNs: Array<number>
  readonly #queryNs: number
  readonly #candidateNs: number
  readonly #filterNs: number
  readonly #isNative: boolean
  /** Whether all searches have the same filter: then what it leaves out is part of what is learned of a row. */
  readonly isOfOneFilter: boolean

  /**
   * Nanoseconds a row or step by mode, to prepare a query for codes, to score a candidate again, and for an operation of a
   * filter a row.
   */
  constructor(
    unitNs: ReadonlyArray<number>,
    queryNs = 0,
    candidateNs = 0,
    filterNs = 0,
    isNative = true,
    isOfOneFilter = false
  ) {
    this.#isNative = isNative
    this.#unitNs = [...unitNs]
    this.#queryNs = queryNs
    this.#candidateNs = candidateNs
    this.#filterNs = filterNs
    this.isOfOneFilter = isOfOneFilter
  }

  /** The same guesses, for searches that all have one filter. */
  ofOneFilter(): ScanCost {
    return new ScanCost(this.#unitNs, this.#queryNs, this.#candidateNs, this.#filterNs, this.#isNative, true)
  }

  microseconds(plan: Priced, rows: number, queries: number): number {
    return ((this.#unitNs[plan.mode]! * unitsOf(plan, rows) + this.#fixedNs(plan, rows)) * queries) / 1000
  }

  /**
   * What it takes to choose `keep` of `fetch` hits: vectors that are near at hand are compared, each hit with a part of
   * those before it that was measured to grow so.
   */
  diversityMicroseconds(keep: number, fetch: number, fast = false): number {
    const compared = (keep * keep) / (keep + LAZY_HITS)
    return (fetch * compared * this.#candidateNs) / DIVERSITY_SPEEDUP / (fast ? FAST_SPEEDUP : 1) / 1000
  }

  /** What it takes to compare a query with centroids of so many elements together, to rank their lists. */
  rankingMicroseconds(elements: number): number {
    const elementNs = !this.#isNative ? SCALAR_ELEMENT_NS : elements > CACHED_ELEMENTS ? FAR_ELEMENT_NS : ELEMENT_NS
    return (elements * elementNs) / 1000
  }

  /** What it takes to evaluate a filter of so many operations. */
  filterMicroseconds(operations: number, rows: number): number {
    return (this.#filterNs * operations * rows) / 1000
  }

  observe(plan: Priced, rows: number, queries: number, microseconds: number): void {
    if (rows < LEAST_ROWS || queries === 0) return
    const expected = this.#unitNs[plan.mode]!
    const measured = ((microseconds * 1000) / queries - this.#fixedNs(plan, rows)) / unitsOf(plan, rows)
    const credible = Math.min(Math.max(measured, 0), LARGEST_SURPRISE * expected)
    this.#unitNs[plan.mode] = expected + SMOOTHING * (credible - expected)
  }

  #fixedNs({ mode, rerank }: Priced, rows: number): number {
    return (mode === MODE.exact || mode === MODE.hnsw ? 0 : this.#queryNs) + Math.min(rerank, rows) * this.#candidateNs
  }
}

/** An element of centroids in the cache, in memory, and without the addon; and so many are in the cache. */
const ELEMENT_NS = 0.07
const FAR_ELEMENT_NS = 0.4
const SCALAR_ELEMENT_NS = 1.7
const CACHED_ELEMENTS = 1 << 18

/** A step of a walk, its some 20 products of copies apart. */
const STEP_NS = 300

/** First guesses, before anything was measured: bytes at 8 GB/s and products at 15 a nanosecond with the addon. */
export const initialCost = ({ dimensions, precision, pq }: StoreShape, native: boolean): ScanCost => {
  const bytes = dimensions * { f32: 4, f16: 2, int8: 1, none: 0 }[precision]
  const products = dimensions * CODE_BITS
  const codeBytes = pq === undefined ? CODE_BYTES : (pq.m * pq.bits) / 8
  const product = 0.5 + codeBytes / 20
  const listed = pq === undefined ? 1 : product
  return native
    ? new ScanCost([bytes / 8, 1, 2, listed, STEP_NS + 2 * dimensions, product], products / 15, bytes / 8, 0.2)
    : new ScanCost([bytes, 150, 150, 5 * codeBytes, 0, 5 * codeBytes], products / 0.6, bytes, 20, false)
}
