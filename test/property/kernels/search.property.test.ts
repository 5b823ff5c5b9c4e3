/** Search and row writing against the formulas of the format, in plain real numbers. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { SearchPlan } from "../../../src/core/kernels/contract.ts"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { BLOCKS, MODE } from "../../../src/core/kernels/shape.ts"
import { METRICS, type Metric, PRECISIONS } from "../../../src/core/store/layout.ts"
import { emptyHits, emptySegment, encoderOf, layoutOf, type Shape, vectorsOf } from "./segments.ts"

const ROWS = 90

/** Rows `0 .. ROWS` written and live, the vectors they were written from, and one query. */
const written = (drawn: Shape) => {
  const segment = emptySegment(drawn)
  const vectors = vectorsOf(drawn, drawn.seed, ROWS)
  const slots = Uint32Array.from({ length: ROWS }, (_, slot) => slot)
  const encoder = encoderOf(drawn)
  scalar.writeRows(layoutOf(drawn), vectors, slots, encoder, segment.rows, segment.codes)
  for (const slot of slots) segment.rows[slot >> 3] = segment.rows[slot >> 3]! | (1 << (slot & 7))
  return { segment, vectors, encoder, query: vectorsOf(drawn, ~drawn.seed, 1) }
}

const searched = (drawn: Shape, mode: number, rerank = 0) => {
  const { segment, vectors, encoder, query } = written(drawn)
  const hits = emptyHits(1, ROWS)
  const plan = {
    ...layoutOf(drawn),
    mode,
    keep: ROWS,
    rerank,
    nprobe: 0,
    fromBlock: 0,
    toBlock: BLOCKS,
    cancel: 0
  }
  const columns = { rows: [segment.rows], codes: [segment.codes], encoder }
  scalar.search(plan, columns, query, new Int32Array(1), hits)
  assert.equal(hits.counts[0], ROWS)
  return { segment, hits, vectors, encoder, query }
}

const dot = (x: ReadonlyArray<number>, y: ReadonlyArray<number>) => x.reduce((sum, value, i) => sum + value * y[i]!, 0)

/** What is compared: of unit length for cosine, else as it came. */
const direction = (metric: Metric, x: Float32Array): Array<number> => {
  const length = metric === "cosine" ? Math.hypot(...x) : 1
  return Array.from(x, (value) => value / length)
}

const shapes = (precision: Shape["precision"]): fc.Arbitrary<Shape> =>
  fc.record({
    seed: fc.nat(),
    metric: fc.constantFrom(...METRICS),
    precision: fc.constant(precision),
    dimensions: fc.integer({ min: 1, max: 70 }),
    kind: fc.constantFrom("ordinary", "sparse"),
    factorScale: fc.constantFrom(1, 2)
  })

/** Largest error of a component relative to the largest component of its vector. */
const STEP = { f32: 2 ** -24, f16: 2 ** -11, int8: 1 / 250 }

for (const precision of ["f32", "f16", "int8"] as const) {
  test(`exact scores of ${precision} are the metric, and rows come in their order`, () => {
    fc.assert(
      fc.property(shapes(precision), (drawn) => {
        const { hits, vectors, query } = searched(drawn, MODE.exact)
        const { metric, dimensions: d } = drawn
        const q = direction(metric, query)
        for (let rank = 0; rank < ROWS; rank++) {
          const row = hits.rows[rank]!
          const x = direction(metric, vectors.subarray(row * d, (row + 1) * d))
          const expected = metric === "l2" ? -dot(x, x) + 2 * dot(x, q) - dot(q, q) : dot(x, q)
          const largest = Math.max(...x.map(Math.abs))
          const size = Math.max(...q.map(Math.abs)) + (metric === "l2" ? 2 * largest : 0) + 2 ** -10
          const slack = 4 * d * STEP[precision] * largest * size + 2 ** -20
          assert.ok(
            Math.abs(hits.scores[rank]! - expected) <= slack,
            `${hits.scores[rank]} for ${expected} +- ${slack}`
          )
          const next = rank + 1
          if (next < ROWS) {
            const tie = hits.scores[rank] === hits.scores[next]
            assert.ok(tie ? row < hits.rows[next]! : hits.scores[rank]! > hits.scores[next]!)
          }
          assert.equal(hits.generations[rank], 2)
          assert.equal(hits.estimates[rank], hits.scores[rank])
        }
      })
    )
  })
}

test("int8 scores are those of the stored steps with a query of 15 bits", () => {
  fc.assert(
    fc.property(shapes("int8"), (drawn) => {
      const { segment, query, hits } = searched(drawn, MODE.exact)
      const { metric, dimensions: d } = drawn
      const q = direction(metric, query)
      const stored = new Float32Array(ROWS * d)
      scalar.readVectors(layoutOf(drawn), hits.rows, segment.rows, stored)
      for (let rank = 0; rank < ROWS; rank++) {
        const x = Array.from(stored.subarray(rank * d, (rank + 1) * d))
        const expected = metric === "l2" ? -dot(x, x) + 2 * dot(x, q) - dot(q, q) : dot(x, q)
        // Half of the query's step for each component; then rounding to f32, of rows and of what is subtracted.
        const step = Math.max(...q.map(Math.abs)) / 16_256
        const sizes = x.reduce((sum, value) => sum + Math.abs(value), 0)
        const slack = (metric === "l2" ? 2 : 1) * (step / 2) * sizes + 2 ** -20 * (dot(x, x) + dot(q, q) + sizes)
        assert.ok(Math.abs(hits.scores[rank]! - expected) <= slack, `${hits.scores[rank]} for ${expected} +- ${slack}`)
      }
    })
  )
})

/** `(x - mean) P`. */
const projected = (x: ReadonlyArray<number>, mean: ReadonlyArray<number>, encoder: Float32Array): Array<number> => {
  const d = x.length
  return Array.from({ length: 256 }, (_, m) =>
    x.reduce((sum, v, i) => sum + (v - mean[i]!) * encoder[d + i * 256 + m]!, 0)
  )
}

test("flat estimates are the RaBitQ estimator within quantisation", () => {
  fc.assert(
    fc.property(fc.constantFrom(...PRECISIONS).chain(shapes), (drawn) => {
      const { hits, vectors, encoder, query } = searched(drawn, MODE.flat)
      const { metric, dimensions: d } = drawn
      const q = direction(metric, query)
      const mean = Array.from(encoder.subarray(0, d))
      const none = mean.map(() => 0)
      const y = projected(q, metric === "l2" ? mean : none, encoder)
      for (let rank = 0; rank < ROWS; rank++) {
        const row = hits.rows[rank]!
        const x = direction(metric, vectors.subarray(row * d, (row + 1) * d))
        const v = projected(x, mean, encoder)
        const factor = dot(v, v) / v.reduce((sum, value) => sum + Math.abs(value), 0)
        const product = factor * y.reduce((sum, value, m) => sum + (v[m]! >= 0 ? value : -value), 0)
        const r = x.map((value, i) => value - mean[i]!)
        const u = q.map((value, i) => value - mean[i]!)
        const expected = metric === "l2" ? 2 * product - dot(r, r) - dot(u, u) : product + dot(mean, q)
        const size = y.reduce((sum, value) => sum + Math.abs(value), 0)
        const range = Math.max(...Array.from({ length: 64 }, (_, g) => group(y, g)))
        // Half a step of the table for each of 64 groups, f16 factors and norms, and a sign or so near zero.
        const slack = 2 * factor * ((32 * 2 * range) / 63 + size * 2 ** -9 + 1e-5) + 2 ** -10 * dot(r, r) + 1e-4
        assert.ok(
          Math.abs(hits.estimates[rank]! - expected) <= slack,
          `${hits.estimates[rank]} for ${expected} +- ${slack}`
        )
      }
    })
  )
})

const group = (y: ReadonlyArray<number>, g: number) =>
  y.slice(4 * g, 4 * g + 4).reduce((sum, value) => sum + Math.abs(value), 0)

test("binary estimates count the signs that agree", () => {
  fc.assert(
    fc.property(fc.constantFrom(...PRECISIONS).chain(shapes), (drawn) => {
      const { hits, vectors, encoder, query } = searched(drawn, MODE.binary)
      const { metric, dimensions: d } = drawn
      const mean = Array.from(encoder.subarray(0, d))
      const asked = projected(direction(metric, query), mean, encoder)
      for (let rank = 0; rank < ROWS; rank++) {
        const row = hits.rows[rank]!
        const v = projected(direction(metric, vectors.subarray(row * d, (row + 1) * d)), mean, encoder)
        const agreement = v.reduce((sum, value, m) => sum + (value >= 0 === asked[m]! >= 0 ? 1 : -1), 0) / 256
        const unsure = [...v, ...asked].filter((value) => Math.abs(value) < 1e-5).length
        assert.ok(Math.abs(hits.estimates[rank]! - agreement) <= unsure / 128)
      }
    })
  )
})

test("a rerank returns first-stage estimates with exact scores", () => {
  fc.assert(
    fc.property(fc.constantFrom("f32", "f16", "int8").chain(shapes), (drawn) => {
      const exact = searched(drawn, MODE.exact).hits
      const first = searched(drawn, MODE.flat).hits
      const both = searched(drawn, MODE.flat, ROWS).hits
      assert.deepEqual(both.rows, exact.rows)
      assert.deepEqual(both.scores, exact.scores)
      const estimates = new Map(Array.from(first.rows, (row, rank) => [row, first.estimates[rank]]))
      for (const [rank, row] of both.rows.entries()) assert.equal(both.estimates[rank], estimates.get(row))
    })
  )
})

test("what does not fit the layout is refused by name", () => {
  const drawn: Shape = { seed: 3, metric: "dot", precision: "none", dimensions: 8, kind: "ordinary", factorScale: 1 }
  const { segment, encoder, vectors, query } = written(drawn)
  const layout = layoutOf(drawn)
  const plan = {
    ...layout,
    mode: MODE.flat,
    keep: 1,
    rerank: 0,
    nprobe: 0,
    fromBlock: 0,
    toBlock: BLOCKS,
    cancel: 0
  }
  const refused = { code: "Layout" }
  const columns = { rows: [segment.rows], codes: [segment.codes], encoder }
  const find = (changes: Partial<SearchPlan>, queries = query, control = new Int32Array(1)) =>
    scalar.search({ ...plan, ...changes }, columns, queries, control, emptyHits(1, 1))
  assert.equal(find({}), 0)
  assert.throws(() => find({ mode: MODE.exact }), refused)
  assert.throws(() => find({ rerank: 1 }), refused)
  assert.throws(() => find({ toBlock: BLOCKS + 1 }), refused)
  assert.throws(() => find({ keep: 2 }), refused)
  assert.throws(() => find({ wanted: 0 }), refused)
  assert.throws(() => find({ cancel: 1 }), refused)
  assert.throws(() => find({}, query.subarray(1)), refused)
  const slots = Uint32Array.from({ length: ROWS }, (_, slot) => slot)
  const write = (into: Uint32Array, by = encoder) =>
    scalar.writeRows(layout, vectors, into, by, segment.rows, segment.codes)
  assert.throws(() => write(slots.map((slot) => slot + 65_500)), refused)
  assert.throws(() => write(slots.subarray(1)), refused)
  assert.throws(() => write(slots, encoder.subarray(1)), refused)
  assert.throws(() => scalar.readVectors(layout, slots, segment.rows, vectors), refused)
  assert.throws(() => scalar.encodeStored(layout, 0, 1, encoder, segment.rows, segment.codes), refused)
  assert.throws(() => scalar.useIsa("avx2"), { code: "Isa" })
})
