/** Lists that are ranked in two levels: every native variant against the scalar definition, and against ranking them all. */
import assert from "node:assert/strict"
import fc from "fast-check"
import type { Hits, Kernels } from "../../../src/core/kernels/contract.ts"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { shortlistBytes, shortlistColumns, storeCentroid } from "../../../src/core/kernels/shortlist.ts"
import { newHits } from "../../../src/core/search/hits.ts"
import { choose, plan } from "../../../src/core/search/plan.ts"
import { aligned, newAligned } from "../../../src/core/store/aligned.ts"
import { METRICS } from "../../../src/core/store/layout.ts"
import type { SearchColumns } from "../../../src/core/store/memory.ts"
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
  rows: fc.integer({ min: 400, max: 900 }),
  deleted: fc.nat({ max: 60 }),
  // Of fewer than 128 none is left out: all are ranked.
  lists: fc.integer({ min: 100, max: 330 }),
  nprobe: fc.integer({ min: 1, max: 90 }),
  margin: fc.option(fc.double({ min: 0, max: 8, noNaN: true }), { nil: undefined, freq: 1 }),
  isNoise: fc.boolean()
})
type Drawn = typeof drawn extends fc.Arbitrary<infer D> ? D : never

/** A store with lists, some rows of which are gone and some new since those were made. */
const listedStore = (kernels: Kernels, { seed, metric, rows, deleted, lists }: Drawn): Store => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric, precision: "f32" }, seed)
  put(
    store,
    Array.from({ length: rows }, (_, i) => `k${i}`),
    seed
  )
  listAll(store, lists, seed)
  for (let i = 0; i < deleted; i++) drop(store, `k${(i * 7) % rows}`)
  put(store, ["new", "k1", "newer"], seed + 1)
  return store
}

/**
 * The columns of a store with a shortlist, few as its lists are; with codes that say nothing of the centroids where it is
 * to matter how many of them are ranked.
 */
const shortlisted = ({ kernels, columns }: Store, isNoise = false): SearchColumns => {
  const lists = columns.lists!
  const count = lists.biases.length
  const shortlist = aligned(kernels, newAligned(shortlistBytes(count)))
  const written = shortlistColumns(shortlist, count)
  for (let list = 0; list < count; list++) storeCentroid(columns.layout, lists, written, list)
  if (isNoise)
    written.codes.set(randomVectors(count, written.codes.length).map((value) => Math.floor(1000 * value) & 255))
  return { ...columns, lists: { ...lists, shortlist } }
}

const search = (
  kernels: Kernels,
  store: Store,
  columns: SearchColumns,
  nprobe: number,
  keep: number,
  margin?: number,
  wanted?: number
): Hits => {
  const choice = choose({ mode: "ivf", nprobe, rerank: 0, k: keep }, store.shape)
  const hits = newHits(QUERIES, keep)
  const whole = { ...plan(choice, columns, store.directory.rows, 20), margin, wanted }
  kernels.search(whole, columns, randomVectors(99, QUERIES * DIMENSIONS), store.directory.words, hits)
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

testEveryIsa("a shortlist leads to the same lists as by the scalar definition", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const columns = shortlisted(store, shape.isNoise)
      // One row is enough, and there is room for all that lie beside it.
      const [a, b] = [native, scalar].map((kernels) =>
        search(kernels, store, columns, shape.nprobe, 1000, shape.margin, 1)
      )
      assert.deepEqual(a!.counts, b!.counts)
      for (let query = 0; query < QUERIES; query++) assert.deepEqual(found(a!, query, 1000), found(b!, query, 1000))
    }),
    { numRuns: 25 }
  )
})

testEveryIsa(
  "all lists hold what all codes do, and those that a shortlist left out are visited for want of rows",
  (native) => {
    fc.assert(
      fc.property(drawn, (shape) => {
        const store = listedStore(native, shape)
        const columns = shortlisted(store)
        const every = search(native, store, store.columns, 2 ** 20, 1000)
        assert.deepEqual(search(native, store, columns, 2 ** 20, 1000), every)
        const others = search(native, store, columns, shape.nprobe, 1000, shape.margin)
        assert.deepEqual(others.counts, every.counts)
        for (let query = 0; query < QUERIES; query++) {
          assert.deepEqual(found(others, query, 1000), found(every, query, 1000))
        }
      }),
      { numRuns: 12 }
    )
  }
)

testEveryIsa("nearly all lists that ranks of all choose are in a shortlist", (native) => {
  let met = 0
  let wanted = 0
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, { ...shape, lists: 330 })
      const [short, all] = [shortlisted(store), store.columns].map((columns) => search(native, store, columns, 30, 10))
      for (let query = 0; query < QUERIES; query++) {
        const rows = new Set(found(short!, query, 10).rows)
        for (const row of found(all!, query, 10).rows) {
          wanted++
          if (rows.has(row)) met++
        }
      }
    }),
    { numRuns: 20 }
  )
  assert.ok(met >= 0.95 * wanted, `${met} of ${wanted}`)
})
