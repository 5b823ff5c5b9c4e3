/** Diverse hits against the plain greedy definition, and what the fast choice loses. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import type { Hits, Kernels, SearchPlan } from "../../src/core/kernels/contract.ts"
import { scalar } from "../../src/core/kernels/scalar.ts"
import { MODE } from "../../src/core/kernels/shape.ts"
import { newHits } from "../../src/core/search/hits.ts"
import { METRICS, type Metric, type Precision } from "../../src/core/store/layout.ts"
import { vectorOf } from "../../src/core/store/rows.ts"
import type { Store } from "../../src/core/store/store.ts"
import { newStore, put } from "../stores.ts"
import { testEveryIsa } from "./kernels/addon.ts"
import { randomVectors } from "./kernels/random.ts"

const DIMENSIONS = 12

interface Drawn {
  readonly rows: number
  readonly metric: Metric
  readonly precision: Precision
  readonly keep: number
  readonly fetch: number
  readonly lambda: number
  readonly seed: number
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  rows: fc.integer({ min: 0, max: 90 }),
  metric: fc.constantFrom(...METRICS),
  precision: fc.constantFrom("f32" as const, "f16" as const, "int8" as const),
  keep: fc.integer({ min: 1, max: 30 }),
  fetch: fc.integer({ min: 30, max: 100 }),
  lambda: fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true })),
  seed: fc.nat()
})

/** Of enough candidates, and with enough relevance, for a choice from a part of them; now and then not. */
const drawnFast: fc.Arbitrary<Drawn> = fc
  .tuple(
    drawn,
    fc.integer({ min: 60, max: 200 }),
    fc.integer({ min: 1, max: 24 }),
    fc.double({ min: 0.68, max: 1, noNaN: true })
  )
  .map(([drawn, rows, keep, lambda]) => ({ ...drawn, rows, keep, lambda, fetch: rows }))

const storeOf = (kernels: Kernels, { rows, metric, precision, seed }: Drawn): Store => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric, precision })
  const keys = Array.from({ length: rows }, (_, i) => `${i}`)
  put(store, keys, seed)
  return store
}

const search = (kernels: Kernels, store: Store, { keep, seed }: Drawn, asked: Partial<SearchPlan>): Hits => {
  const { columns, directory } = store
  const plan = {
    ...{ ...columns.layout, mode: MODE.exact, keep, rerank: 0, nprobe: 0, fromBlock: 0 },
    ...{ toBlock: Math.ceil(directory.rows / 64), cancel: 15, ...asked }
  }
  const hits = newHits(1, plan.keep)
  kernels.search(plan, columns, randomVectors(~seed, DIMENSIONS), directory.words, hits)
  return hits
}

/** The score of two stored rows against one another. */
const between = (store: Store, a: number, b: number): number => {
  const [x, y] = [vectorOf(store, a)!, vectorOf(store, b)!]
  return x.reduce((sum, value, i) => sum + (store.shape.metric === "l2" ? -((value - y[i]!) ** 2) : value * y[i]!), 0)
}

const worth = (store: Store, lambda: number, score: number, row: number, chosen: ReadonlyArray<number>): number => {
  const nearest = chosen.length === 0 ? 0 : Math.max(...chosen.map((other) => between(store, row, other)))
  return lambda * score - (1 - lambda) * nearest
}

/** Every choice is worth as much as the best of those that were left, up to rounding. */
const assertGreedy = (kernels: Kernels, memory: Kernels, asked: Drawn) => {
  const { keep, fetch, lambda } = asked
  const store = storeOf(memory, asked)
  const all = search(memory, store, asked, { keep: fetch })
  const scores = new Map(Array.from({ length: all.counts[0]! }, (_, i) => [all.rows[i]!, all.scores[i]!]))
  const found = search(kernels, store, asked, { fetch, lambda })
  assert.equal(found.counts[0], Math.min(keep, scores.size))
  const chosen: Array<number> = []
  for (let i = 0; i < found.counts[0]; i++) {
    const row = found.rows[i]!
    assert.ok(scores.has(row) && !chosen.includes(row))
    assert.ok(Math.abs(found.scores[i]! - scores.get(row)!) < 1e-4)
    const value = worth(store, lambda, scores.get(row)!, row, chosen)
    for (const [other, score] of scores) {
      if (chosen.includes(other)) continue
      const most = worth(store, lambda, score, other, chosen)
      assert.ok(value >= most - 1e-4, `place ${i}: ${value} although ${other} is worth ${most}`)
    }
    chosen.push(row)
  }
}

describe("diverse hits are those of the greedy definition", () => {
  test("in TypeScript", () => {
    fc.assert(
      fc.property(drawn, (asked) => assertGreedy(scalar, scalar, asked)),
      { numRuns: 60 }
    )
  })
  testEveryIsa("natively", (native) =>
    fc.assert(
      fc.property(drawn, (asked) => assertGreedy(native, native, asked)),
      { numRuns: 60 }
    )
  )
})

testEveryIsa("the fast choice is the same natively and in TypeScript", (native) =>
  fc.assert(
    fc.property(drawnFast, (asked) => {
      const store = storeOf(native, asked)
      const { fetch, lambda } = asked
      const rowsBy = (kernels: Kernels) => search(kernels, store, asked, { fetch, lambda, fast: true }).rows
      assert.deepEqual(rowsBy(native), rowsBy(scalar))
    }),
    { numRuns: 60 }
  )
)

testEveryIsa("a least score leaves the same hits natively and in TypeScript", (native) =>
  fc.assert(
    fc.property(drawn, fc.nat({ max: 40 }), fc.boolean(), (asked, place, isFlat) => {
      const store = storeOf(native, asked)
      const scan = isFlat ? { mode: MODE.flat, rerank: asked.fetch } : {}
      const all = search(native, store, asked, { ...scan, keep: asked.fetch })
      const count = all.counts[0]!
      const minScore = all.scores[Math.min(place, count)] ?? 0
      const seed = all.estimates[Math.min(2 * place, count)] ?? 0
      const rowsBy = (kernels: Kernels) => {
        const hits = search(kernels, store, asked, { ...scan, keep: asked.fetch, minScore, seed })
        return Array.from(hits.rows.subarray(0, hits.counts[0]), (row, i) => [row, Math.round(1e3 * hits.scores[i]!)])
      }
      const near = Array.from({ length: count }, (_, i) => i).filter(
        (i) => all.scores[i]! >= minScore && all.estimates[i]! > Math.fround(seed)
      )
      const expected = near.map((i) => [all.rows[i]!, Math.round(1e3 * all.scores[i]!)])
      assert.deepEqual(rowsBy(native), expected)
      if (asked.precision === "int8") assert.deepEqual(rowsBy(scalar), expected)
    }),
    { numRuns: 60 }
  )
)
