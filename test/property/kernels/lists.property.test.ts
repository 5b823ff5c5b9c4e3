/** Inverted lists: every native variant against the scalar definitions, and all lists against a scan of all codes. */
import assert from "node:assert/strict"
import fc from "fast-check"
import type { Hits, Kernels } from "../../../src/core/kernels/contract.ts"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { newHits } from "../../../src/core/search/hits.ts"
import { choose, plan } from "../../../src/core/search/plan.ts"
import { METRICS } from "../../../src/core/store/layout.ts"
import type { Store } from "../../../src/core/store/store.ts"
import { listAll } from "../../lists.ts"
import { drop, newStore, put } from "../../stores.ts"
import { testEveryIsa } from "./addon.ts"
import { randomVectors } from "./random.ts"

const DIMENSIONS = 24
const QUERIES = 3

const drawn = fc.record({
  seed: fc.nat({ max: 2 ** 30 }),
  metric: fc.constantFrom(...METRICS),
  rows: fc.integer({ min: 1, max: 700 }),
  deleted: fc.nat({ max: 60 }),
  lists: fc.integer({ min: 1, max: 40 }),
  nprobe: fc.integer({ min: 1, max: 40 }),
  margin: fc.option(fc.double({ min: 0, max: 8, noNaN: true }), { nil: undefined })
})

/** A store with lists, some rows of which are gone and some new since those were made. */
const listedStore = (
  kernels: Kernels,
  {
    seed,
    metric,
    rows,
    deleted,
    lists
  }: Omit<typeof drawn extends fc.Arbitrary<infer D> ? D : never, "nprobe" | "margin">
): Store => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric, precision: "f32" }, seed)
  const keys = Array.from({ length: rows }, (_, i) => `k${i}`)
  put(store, keys, seed)
  listAll(store, Math.min(lists, rows), seed)
  for (let i = 0; i < deleted; i++) drop(store, `k${(i * 7) % rows}`)
  put(store, ["new", "k1", "newer"], seed + 1)
  return store
}

const search = (
  kernels: Kernels,
  store: Store,
  mode: "flat" | "ivf",
  nprobe: number,
  keep: number,
  margin?: number
): Hits => {
  const choice = choose({ mode, nprobe, rerank: 0, k: keep }, store.shape)
  const hits = newHits(QUERIES, keep)
  const whole = { ...plan(choice, store.columns, store.directory.rows, 20), margin }
  kernels.search(whole, store.columns, randomVectors(99, QUERIES * DIMENSIONS), store.directory.words, hits)
  return hits
}

/** Estimates of a query in order, and the rows whose estimate is above the last: those that no tie decides. */
const found = (hits: Hits, query: number, keep: number) => {
  const from = query * keep
  const to = from + hits.counts[query]!
  const estimates = Array.from(hits.estimates.subarray(from, to))
  const rows = Array.from(hits.rows.subarray(from, to)).filter((_, i) => estimates[i]! > estimates.at(-1)!)
  return { estimates, rows }
}

testEveryIsa("rows go to the same lists, and lists give the same rows, as by the scalar definition", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const { layout, codes, centroids } = store.columns
      const slots = Uint32Array.from({ length: store.directory.rows }, (_, slot) => slot)
      const [ours, theirs] = [new Uint32Array(slots.length), new Uint32Array(slots.length)]
      native.assignLists(layout, slots, codes[0]!, centroids!.columns, centroids!.halfNorms, ours)
      scalar.assignLists(layout, slots, codes[0]!, centroids!.columns, centroids!.halfNorms, theirs)
      assert.deepEqual(ours, theirs)
      const [a, b] = [native, scalar].map((kernels) => search(kernels, store, "ivf", shape.nprobe, 10, shape.margin))
      assert.deepEqual(a!.counts, b!.counts)
      for (let query = 0; query < QUERIES; query++) assert.deepEqual(found(a!, query, 10), found(b!, query, 10))
    }),
    { numRuns: 25 }
  )
})

testEveryIsa("all lists hold what all codes do", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const all = search(native, store, "ivf", 2 ** 20, 50)
      const flat = search(native, store, "flat", 1, 50)
      assert.deepEqual(all.counts, flat.counts)
      for (let query = 0; query < QUERIES; query++) assert.deepEqual(found(all, query, 50), found(flat, query, 50))
    }),
    { numRuns: 25 }
  )
})

testEveryIsa("a margin leaves out lists whose centroid is farther than that, and the best never", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const counts = (margin: number | undefined) => search(native, store, "ivf", shape.nprobe, 700, margin).counts
      const [none, some, more, all] = [counts(0), counts(1), counts(4), counts(undefined)]
      const one = search(native, store, "ivf", 1, 700).counts
      for (let query = 0; query < QUERIES; query++) {
        assert.ok(none[query]! >= one[query]!)
        assert.ok(none[query]! <= some[query]! && some[query]! <= more[query]! && more[query]! <= all[query]!)
      }
      assert.deepEqual(counts(1e9), all)
    }),
    { numRuns: 15 }
  )
})
