/**
 * Every native variant finds what the scalar kernels find.
 *
 * Estimates are equal to the bit, and so are int8 scores and everything that follows from them.
 * Float scores may differ by rounding: each must lie within the error budget of its own row's
 * score, and the two rankings may disagree only where scores are nearer than two budgets.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import type { Hits, Kernels, SearchPlan } from "../../../src/core/kernels/contract.ts"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { BLOCKS, METRIC, MODE, SLOTS } from "../../../src/core/kernels/shape.ts"
import { METRICS, PRECISIONS } from "../../../src/core/store/layout.ts"
import { testEveryIsa } from "./addon.ts"
import {
  emptyHits,
  encoderOf,
  filledSegment,
  layoutOf,
  productShape,
  type Segment,
  type Shape,
  shape as signShape,
  vectorsOf
} from "./segments.ts"

const RUNS = 60

interface Search {
  readonly plan: SearchPlan
  readonly segments: ReadonlyArray<Segment>
  readonly queries: Float32Array
  readonly encoder: Float32Array
}

/** What is drawn of a search besides its rows. */
interface Request {
  readonly queries: number
  readonly keep: number
  readonly rerank: number
  /** Rows of each segment. */
  readonly counts: ReadonlyArray<number>
  /** Blocks left out at the start and at the end. */
  readonly margins: readonly [start: number, end: number]
}

const request: fc.Arbitrary<Request> = fc.record({
  queries: fc.integer({ min: 1, max: 9 }),
  keep: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(700)),
  rerank: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 60 })),
  counts: fc.array(fc.nat({ max: 200 }), { minLength: 1, maxLength: 3 }),
  margins: fc.oneof(fc.constant([0, 0] as const), fc.tuple(fc.nat({ max: 6 }), fc.nat({ max: 6 })))
})

const searchOf = (drawn: Shape, asked: Request, mode: number): Search => {
  const segments = asked.counts.map((count, i) => filledSegment(drawn, drawn.seed + i, count))
  const [fromBlock, end] = asked.margins
  const rerank = drawn.precision === "none" && mode !== MODE.pq ? 0 : asked.rerank
  const toBlock = segments.length * BLOCKS - end
  const plan = {
    ...layoutOf(drawn),
    mode,
    keep: asked.keep,
    rerank,
    nprobe: 0,
    fromBlock,
    toBlock,
    cancel: 1
  }
  return { plan, segments, queries: vectorsOf(drawn, ~drawn.seed, asked.queries), encoder: encoderOf(drawn) }
}

const search = (kernels: Kernels, { plan, segments, queries, encoder }: Search, control: Int32Array, hits: Hits) =>
  kernels.search(
    plan,
    { rows: segments.map(({ rows }) => rows), codes: segments.map(({ codes }) => codes), encoder },
    queries,
    control,
    hits
  )

const run = (kernels: Kernels, asked: Search): Hits => {
  const hits = emptyHits(asked.queries.length / asked.plan.dimensions, asked.plan.keep)
  assert.equal(search(kernels, asked, new Int32Array(2), hits), 0)
  return hits
}

interface Hit {
  readonly row: number
  readonly generation: number
  readonly score: number
  readonly estimate: number
}

/** The hits of one query. Adding 0 makes both zeros the same. */
const hitsOf = (hits: Hits, query: number, keep: number): Array<Hit> =>
  Array.from({ length: hits.counts[query]! }, (_, rank) => {
    const at = query * keep + rank
    return {
      row: hits.rows[at]!,
      generation: hits.generations[at]!,
      score: hits.scores[at]! + 0,
      estimate: hits.estimates[at]! + 0
    }
  })

const assertSameHits = (native: Kernels, asked: Search) => {
  const actual = run(native, asked)
  const expected = run(scalar, asked)
  for (let query = 0; query < actual.counts.length; query++) {
    const { keep } = asked.plan
    assert.deepEqual(hitsOf(actual, query, keep), hitsOf(expected, query, keep))
  }
}

const assertNearHits = (native: Kernels, asked: Search) => {
  const { plan } = asked
  const actual = run(native, asked)
  const expected = run(scalar, asked)
  const every = { ...plan, keep: 1_000, rerank: 0 }
  const scores = run(scalar, { ...asked, plan: { ...every, mode: MODE.exact } })
  const estimates = run(scalar, { ...asked, plan: every })
  for (let query = 0; query < actual.counts.length; query++) {
    const score = new Map(hitsOf(scores, query, every.keep).map((hit) => [hit.row, hit]))
    const estimate = new Map(hitsOf(estimates, query, every.keep).map((hit) => [hit.row, hit.estimate]))
    const found = hitsOf(actual, query, plan.keep)
    const wanted = hitsOf(expected, query, plan.keep)
    assert.equal(found.length, wanted.length)
    assert.equal(new Set(found.map((hit) => hit.row)).size, found.length)
    for (const [rank, hit] of found.entries()) {
      const own = score.get(hit.row)
      assert.ok(own !== undefined, `row ${hit.row} is not live or not in range`)
      const slack = budget(asked, query, hit.row)
      assert.ok(Math.abs(hit.score - own.score) <= slack, `row ${hit.row}: ${hit.score} for ${own.score} +- ${slack}`)
      assert.equal(hit.generation, own.generation)
      assert.equal(hit.estimate, plan.mode === MODE.exact ? hit.score : estimate.get(hit.row))
      const rival = wanted[rank]!
      const both = slack + budget(asked, query, rival.row)
      assert.ok(Math.abs(own.score - rival.score) <= both, `rank ${rank}: row ${hit.row} for ${rival.row}`)
      const next = found[rank + 1]
      if (next !== undefined) assert.ok(hit.score > next.score || (hit.score === next.score && hit.row < next.row))
    }
  }
}

/** `(d / 8 + 8) * 2^-24` of the sum of magnitudes, and what underflow may lose. */
const budget = ({ plan, segments, queries }: Search, query: number, row: number): number => {
  const { dimensions: d, metric } = plan
  const stored = new Float32Array(d)
  scalar.readVectors(plan, Uint32Array.of(row % SLOTS), segments[Math.floor(row / SLOTS)]!.rows, stored)
  const asked = queries.subarray(query * d, (query + 1) * d)
  const length = metric === METRIC.cosine ? Math.hypot(...asked) : 1
  const size = stored.reduce((sum, x, i) => {
    const q = asked[i]! / length
    return sum + (metric === METRIC.l2 ? (q - x) ** 2 : Math.abs(q * x))
  }, 0)
  return (d / 8 + 8) * (2 ** -24 * size + 2 ** -149)
}

for (const [name, shape] of [
  ["flat", signShape],
  ["binary", signShape],
  ["pq", productShape]
] as const) {
  testEveryIsa(`${name} search without rerank`, (native) => {
    fc.assert(
      fc.property(shape(), request, (drawn, asked) => {
        assertSameHits(native, searchOf(drawn, { ...asked, rerank: 0 }, MODE[name]))
      }),
      { numRuns: RUNS }
    )
  })

  testEveryIsa(`${name} search reranked with int8`, (native) => {
    fc.assert(
      fc.property(shape(METRICS, ["int8"]), request, (drawn, asked) => {
        assertSameHits(native, searchOf(drawn, asked, MODE[name]))
      }),
      { numRuns: RUNS }
    )
  })

  testEveryIsa(`${name} search reranked with floats`, (native) => {
    fc.assert(
      fc.property(shape(METRICS, ["f32", "f16"]), request, (drawn, asked) => {
        assertNearHits(native, searchOf(drawn, { ...asked, rerank: asked.rerank + 1 }, MODE[name]))
      }),
      { numRuns: RUNS }
    )
  })
}

testEveryIsa("pq search without vectors, scored again from codes", (native) => {
  fc.assert(
    fc.property(productShape(METRICS, ["none"]), request, (drawn, asked) => {
      assertSameHits(native, searchOf(drawn, { ...asked, rerank: asked.rerank + 1 }, MODE.pq))
    }),
    { numRuns: RUNS }
  )
})

testEveryIsa("exact search of int8", (native) => {
  fc.assert(
    fc.property(signShape(METRICS, ["int8"]), request, (drawn, asked) => {
      assertSameHits(native, searchOf(drawn, asked, MODE.exact))
    }),
    { numRuns: RUNS }
  )
})

testEveryIsa("exact search of floats", (native) => {
  fc.assert(
    fc.property(signShape(METRICS, ["f32", "f16"]), request, (drawn, asked) => {
      assertNearHits(native, searchOf(drawn, asked, MODE.exact))
    }),
    { numRuns: RUNS }
  )
})

/** Modes that need no lists. */
const SCANS = [MODE.exact, MODE.flat, MODE.binary, MODE.pq]
const SMALL: Shape = { seed: 1, metric: "dot", precision: "f32", dimensions: 8, kind: "ordinary", factorScale: 1 }
const smallOf = (mode: number): Shape => (mode === MODE.pq ? { ...SMALL, pq: { m: 3, bits: 8 } } : SMALL)

testEveryIsa("a set cancel word ends the search without hits", (native) => {
  for (const kernels of [native, scalar]) {
    for (const mode of SCANS) {
      const asked = searchOf(smallOf(mode), { queries: 2, keep: 3, rerank: 0, counts: [100], margins: [0, 0] }, mode)
      const hits = emptyHits(2, 3)
      hits.counts.fill(9)
      assert.equal(search(kernels, asked, Int32Array.of(0, 1), hits), 1)
      assert.deepEqual(hits.counts, new Uint32Array(2))
    }
  }
})

testEveryIsa("a row that is being written is no hit", (native) => {
  for (const precision of PRECISIONS) {
    const modes = precision === "none" ? [MODE.flat, MODE.binary, MODE.pq] : SCANS
    for (const mode of modes) {
      const asked = { queries: 1, keep: 700, rerank: 5, counts: [100], margins: [0, 0] } as const
      const drawn = searchOf({ ...smallOf(mode), precision }, asked, mode)
      const whole = hitsOf(run(scalar, drawn), 0, 700)
      const torn = whole[3]!.row
      const { rows } = drawn.segments[0]!
      const at = drawn.plan.generationOffset + 2 * torn
      rows[at] = rows[at]! | 1
      for (const kernels of [native, scalar]) {
        const found = hitsOf(run(kernels, drawn), 0, 700).map((hit) => hit.row)
        assert.equal(found.length, whole.length - 1)
        assert.ok(!found.includes(torn))
      }
    }
  }
})
