/** Inverted lists: every native variant against the scalar definitions, and all lists against a scan of all codes. */
import assert from "node:assert/strict"
import fc from "fast-check"
import type { Kernels } from "../../../src/core/kernels/contract.ts"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { FILTER_OP } from "../../../src/core/kernels/shape.ts"
import { newHits } from "../../../src/core/search/hits.ts"
import { choose, plan } from "../../../src/core/search/plan.ts"
import { fieldColumn, METRICS, type PqShape } from "../../../src/core/store/layout.ts"
import { columnsOf } from "../../../src/core/store/memory.ts"
import type { Store } from "../../../src/core/store/store.ts"
import { testEveryIsa } from "./addon.ts"
import { DIMENSIONS, found, listedStore, modeOf, QUERIES, searchListed } from "./listed.ts"
import { randomVectors } from "./random.ts"

const pq = fc.constantFrom<PqShape | undefined>(
  undefined,
  { m: 6, bits: 4 },
  { m: 5, bits: 8 },
  { m: 6, bits: 4, rotation: "opq" }
)

const drawn = fc.record({
  pq,
  seed: fc.nat({ max: 2 ** 30 }),
  metric: fc.constantFrom(...METRICS),
  rows: fc.integer({ min: 1, max: 700 }),
  deleted: fc.nat({ max: 60 }),
  lists: fc.integer({ min: 1, max: 40 }),
  nprobe: fc.integer({ min: 1, max: 40 }),
  margin: fc.option(fc.double({ min: 0, max: 8, noNaN: true }), { nil: undefined })
})

testEveryIsa("rows go to the same lists, and lists give the same rows, as by the scalar definition", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const { layout, encoder, codes, centroids } = store.columns
      const slots = Uint32Array.from({ length: store.directory.rows }, (_, slot) => slot)
      const [ours, theirs] = [new Uint32Array(slots.length), new Uint32Array(slots.length)]
      native.assignLists(layout, slots, encoder, codes[0]!, centroids!.columns, centroids!.halfNorms, ours)
      scalar.assignLists(layout, slots, encoder, codes[0]!, centroids!.columns, centroids!.halfNorms, theirs)
      assert.deepEqual(ours, theirs)
      const [a, b] = [native, scalar].map((kernels) => searchListed(kernels, store, { ...shape, keep: 10 }))
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
      const all = searchListed(native, store, { nprobe: 2 ** 20, keep: 50 })
      const flat = searchListed(native, store, { mode: "flat", nprobe: 1, keep: 50 })
      assert.deepEqual(all.counts, flat.counts)
      for (let query = 0; query < QUERIES; query++) assert.deepEqual(found(all, query, 50), found(flat, query, 50))
    }),
    { numRuns: 25 }
  )
})

const FIELD = fieldColumn("place")

/** A store with lists whose rows have places 0..99, in the order of their scores for some direction or of their numbers. */
const placedStore = (kernels: Kernels, shape: Placed): Store => {
  const store = listedStore(kernels, shape, { place: "number" })
  const { offset } = columnsOf(store.shape).find(({ name }) => name === FIELD)!
  const rows = store.columns.rows[0]!
  const places = new Float64Array(rows.buffer, rows.byteOffset + offset, store.directory.rows)
  const along = exactScores(kernels, store, randomVectors(shape.seed + 7, DIMENSIONS))
  for (let row = 0; row < places.length; row++) {
    const rank = shape.isAlong ? along.indexOf(row) : (row * 7919) % places.length
    places[row] = Math.floor((100 * rank) / places.length)
  }
  return store
}

const placed = fc.record({
  pq,
  seed: fc.nat({ max: 2 ** 30 }),
  metric: fc.constantFrom(...METRICS),
  rows: fc.integer({ min: 600, max: 2500 }),
  deleted: fc.nat({ max: 60 }),
  lists: fc.integer({ min: 1, max: 12 }),
  nprobe: fc.integer({ min: 1, max: 4 }),
  margin: fc.option(fc.double({ min: 0, max: 8, noNaN: true }), { nil: undefined }),
  isAlong: fc.boolean(),
  from: fc.nat({ max: 60 }),
  share: fc.integer({ min: 1, max: 100 })
})
type Placed = typeof placed extends fc.Arbitrary<infer D> ? D : never

/** Rows in order of their scores for a query. */
const exactScores = (kernels: Kernels, store: Store, query: Float32Array): ReadonlyArray<number> => {
  const hits = newHits(1, 4096)
  const choice = { ...choose({ mode: "exact" }, store.shape), keep: 4096 }
  kernels.search(
    plan(choice, store.columns, store.directory.rows, 20),
    store.columns,
    query,
    store.directory.words,
    hits
  )
  return Array.from(hits.rows.subarray(0, hits.counts[0]!))
}

const placesFrom = (store: Store, from: number, share: number) => {
  const { offset } = columnsOf(store.shape).find(({ name }) => name === FIELD)!
  return { ops: Uint32Array.of(FILTER_OP.between, offset, 0, 2), constants: Float64Array.of(from, from + share - 1) }
}

const searchPlaces = (
  kernels: Kernels,
  store: Store,
  { nprobe, margin, from, share }: Placed,
  mode: "flat" | "ivf",
  rerank: number,
  deepest?: number,
  seed?: number
) => {
  const hits = newHits(QUERIES, 10)
  const choice = choose({ mode: modeOf(store, mode), nprobe, rerank, k: 10 }, store.shape)
  const whole = {
    ...plan(choice, store.columns, store.directory.rows, 20, true),
    margin,
    seed,
    ...(deepest !== undefined && { deepest })
  }
  const queries = randomVectors(99, QUERIES * DIMENSIONS)
  kernels.search(whole, store.columns, queries, store.directory.words, hits, placesFrom(store, from, share))
  return hits
}

testEveryIsa("under a filter lists give the same rows as by the scalar definition, and as many as pass", (native) => {
  fc.assert(
    fc.property(placed, (shape) => {
      const store = placedStore(native, shape)
      const passing = native.filterRows(
        store.columns.layout.liveOffset,
        store.columns.rows,
        placesFrom(store, shape.from, shape.share),
        new Uint32Array(2 * Math.ceil(store.directory.rows / 64))
      )
      for (const [rerank, deepest] of [[0], [16], [16, 64]] as const) {
        const [a, b] = [native, scalar].map((kernels) => searchPlaces(kernels, store, shape, "ivf", rerank, deepest))
        assert.deepEqual(Array.from(a!.counts), Array(QUERIES).fill(Math.min(10, passing)))
        if (rerank === 0)
          for (let query = 0; query < QUERIES; query++) assert.deepEqual(found(a!, query, 10), found(b!, query, 10))
        else assert.deepEqual(new Set(a!.rows), new Set(b!.rows))
      }
    }),
    { numRuns: 12 }
  )
})

testEveryIsa("under a filter lists are visited no further than a seed tells, as by the scalar definition", (native) => {
  let met = 0
  let wanted = 0
  fc.assert(
    fc.property(placed, fc.nat({ max: 12 }), (shape, place) => {
      const store = placedStore(native, shape)
      const all = searchPlaces(native, store, shape, "flat", 0)
      for (let query = 0; query < QUERIES; query++) {
        const best = found(all, query, 10).estimates
        const seed = best[Math.min(place, best.length - 1)] ?? 0
        const [ours, theirs, flat] = [
          searchPlaces(native, store, shape, "ivf", 0, undefined, seed),
          searchPlaces(scalar, store, shape, "ivf", 0, undefined, seed),
          searchPlaces(native, store, shape, "flat", 0, undefined, seed)
        ].map((hits) => found(hits, query, 10).estimates)
        assert.deepEqual(ours, theirs)
        assert.ok(ours!.every((estimate) => estimate > seed))
        wanted += flat!.length
        // Nothing but hits that are not looked for made the search go on.
        const whole = found(searchPlaces(native, store, shape, "ivf", 0), query, 10).estimates
        assert.ok(ours!.length <= whole.filter((estimate) => estimate > seed).length)
        met += ours!.filter((estimate) => flat!.includes(estimate)).length
      }
    }),
    { numRuns: 12 }
  )
  // Were lists visited until none is left, all would be met.
  assert.ok(met >= 0.3 * wanted && met <= 0.95 * wanted, `${met} of ${wanted}`)
})

testEveryIsa(
  "what passes far from a query is found in lists as in all codes, and so is what passes anywhere",
  (native) => {
    let met = 0
    let wanted = 0
    fc.assert(
      fc.property(placed, (shape) => {
        const some = { ...shape, nprobe: 4, lists: 12, margin: undefined }
        const store = placedStore(native, some)
        const lists = searchPlaces(native, store, some, "ivf", 0)
        const flat = searchPlaces(native, store, some, "flat", 0)
        for (let query = 0; query < QUERIES; query++) {
          const near = new Set(found(lists, query, 10).rows)
          for (const row of found(flat, query, 10).rows) {
            wanted++
            if (near.has(row)) met++
          }
        }
      }),
      { numRuns: 20 }
    )
    assert.ok(met >= 0.9 * wanted, `${met} of ${wanted}`)
  }
)

testEveryIsa("a margin leaves out lists whose centroid is farther than that, and the best never", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const best = (margin: number | undefined) => searchListed(native, store, { ...shape, keep: 1, margin }).estimates
      const [none, some, more, all] = [best(0), best(1), best(4), best(undefined)]
      const one = searchListed(native, store, { nprobe: 1, keep: 1 }).estimates
      for (let query = 0; query < QUERIES; query++) {
        assert.ok(none[query]! >= one[query]!)
        assert.ok(none[query]! <= some[query]! && some[query]! <= more[query]! && more[query]! <= all[query]!)
      }
      assert.deepEqual(best(1e9), all)
    }),
    { numRuns: 15 }
  )
})

testEveryIsa("lists that hold fewer rows than are wanted are not the end", (native) => {
  fc.assert(
    fc.property(drawn, (shape) => {
      const store = listedStore(native, shape)
      const { counts } = searchListed(native, store, { ...shape, nprobe: 1, keep: 700 })
      const flat = searchListed(native, store, { mode: "flat", nprobe: 1, keep: 700 })
      assert.deepEqual(counts, flat.counts)
    }),
    { numRuns: 15 }
  )
})

testEveryIsa(
  "no more lists are visited than hold the rows that are wanted, however many hits there is room for",
  (native) => {
    fc.assert(
      fc.property(drawn, (shape) => {
        const store = listedStore(native, shape)
        const [deep, other] = [native, scalar].map((kernels) =>
          searchListed(kernels, store, { ...shape, nprobe: 1, keep: 700, wanted: 10 })
        )
        const few = searchListed(native, store, { ...shape, nprobe: 1, keep: 10 })
        assert.deepEqual(deep!.counts, other!.counts)
        for (let query = 0; query < QUERIES; query++) {
          const count = few.counts[query]!
          const best = Array.from(deep!.estimates.subarray(query * 700, query * 700 + count))
          assert.deepEqual(best, found(few, query, 10).estimates)
          assert.ok(count === 10 || deep!.counts[query] === count)
        }
      }),
      { numRuns: 15 }
    )
  }
)

testEveryIsa("above a seed lists give what they give without one, as by the scalar definition", (native) => {
  fc.assert(
    fc.property(drawn, fc.nat({ max: 60 }), fc.integer({ min: 1, max: 100 }), (shape, place, wanted) => {
      const store = listedStore(native, shape)
      const asked = { ...shape, keep: 100, wanted }
      for (let query = 0; query < QUERIES; query++) {
        const { estimates } = found(searchListed(native, store, asked), query, 100)
        const above = estimates[Math.min(place, estimates.length - 1)] ?? 0
        const [ours, theirs] = [native, scalar].map((kernels) =>
          found(searchListed(kernels, store, { ...asked, above }), query, 100)
        )
        assert.deepEqual(ours, theirs)
        assert.deepEqual(
          ours!.estimates,
          estimates.filter((estimate) => estimate > above)
        )
      }
    }),
    { numRuns: 15 }
  )
})
