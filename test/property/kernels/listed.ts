/** Stores with inverted lists, and what searches of them find. */
import type { Hits, Kernels } from "../../../src/core/kernels/contract.ts"
import { newHits } from "../../../src/core/search/hits.ts"
import type { Mode } from "../../../src/core/search/options.ts"
import { choose, plan } from "../../../src/core/search/plan.ts"
import type { FieldTypes, Metric, PqShape } from "../../../src/core/store/layout.ts"
import type { Store } from "../../../src/core/store/store.ts"
import { listAll } from "../../lists.ts"
import { drop, newStore, put } from "../../stores.ts"
import { randomVectors } from "./random.ts"

export const DIMENSIONS = 24
export const QUERIES = 3

interface Listed {
  readonly seed: number
  readonly metric: Metric
  readonly rows: number
  readonly deleted: number
  readonly lists: number
  /** Product codes in place of signs. */
  readonly pq?: PqShape | undefined
}

/** A store with lists, some rows of which are gone and some new since those were made. */
export const listedStore = (
  kernels: Kernels,
  { seed, metric, rows, deleted, lists, pq }: Listed,
  fields: FieldTypes = {}
): Store => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric, precision: "f32", fields, ...(pq && { pq }) }, seed)
  const keys = Array.from({ length: rows }, (_, i) => `k${i}`)
  put(store, keys, seed)
  listAll(store, Math.min(lists, rows), seed)
  for (let i = 0; i < deleted; i++) drop(store, `k${(i * 7) % rows}`)
  put(store, ["new", "k1", "newer"], seed + 1)
  return store
}

/** The mode that scans all codes, or lists. */
export const modeOf = ({ shape }: Store, mode: "flat" | "ivf"): Mode =>
  mode === "flat" && shape.pq !== undefined ? "pq" : mode

interface Asked {
  readonly mode?: "flat" | "ivf"
  readonly nprobe: number
  readonly keep: number
  readonly margin?: number | undefined
  readonly wanted?: number
  /** What estimates must exceed. */
  readonly above?: number
}

/** Searches by estimates alone, by the columns of the store unless told others. */
export const searchListed = (
  kernels: Kernels,
  store: Store,
  { mode = "ivf", nprobe, keep, margin, wanted, above }: Asked,
  columns = store.columns
): Hits => {
  const choice = choose({ mode: modeOf(store, mode), nprobe, rerank: 0, k: keep }, store.shape)
  const hits = newHits(QUERIES, keep)
  const whole = { ...plan(choice, columns, store.directory.rows, 20), margin, wanted, seed: above }
  kernels.search(whole, columns, randomVectors(99, QUERIES * DIMENSIONS), store.directory.words, hits)
  return hits
}

/** Estimates of a query in order, and the rows whose estimate is above the last: those that no tie decides. */
export const found = (hits: Hits, query: number, keep: number) => {
  const from = query * keep
  const to = from + hits.counts[query]!
  const estimates = Array.from(hits.estimates.subarray(from, to))
  const rows = Array.from(hits.rows.subarray(from, to)).filter((_, i) => estimates[i]! > estimates.at(-1)!)
  return { estimates, rows }
}
