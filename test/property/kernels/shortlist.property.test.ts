/** Lists that are ranked in two levels: every native variant against the scalar definition, and against ranking them all. */
import assert from "node:assert/strict"
import fc from "fast-check"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { shortlistBytes, shortlistColumns, storeCentroid } from "../../../src/core/kernels/shortlist.ts"
import { aligned, newAligned } from "../../../src/core/store/aligned.ts"
import { METRICS } from "../../../src/core/store/layout.ts"
import type { SearchColumns } from "../../../src/core/store/memory.ts"
import type { Store } from "../../../src/core/store/store.ts"
import { testEveryIsa } from "./addon.ts"
import { found, listedStore, QUERIES, searchListed } from "./listed.ts"
import { randomVectors } from "./random.ts"

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

testEveryIsa("a shortlist leads to the same lists as by the scalar definition", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const columns = shortlisted(store, shape.isNoise)
      // One row is enough, and there is room for all that lie beside it.
      const [a, b] = [native, scalar].map((kernels) =>
        searchListed(kernels, store, { ...shape, keep: 1000, wanted: 1 }, columns)
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
        const every = searchListed(native, store, { nprobe: 2 ** 20, keep: 1000 })
        assert.deepEqual(searchListed(native, store, { nprobe: 2 ** 20, keep: 1000 }, columns), every)
        const others = searchListed(native, store, { ...shape, keep: 1000 }, columns)
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
      const [short, all] = [shortlisted(store), store.columns].map((columns) =>
        searchListed(native, store, { nprobe: 30, keep: 10 }, columns)
      )
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
