/** Encoders whatever the sample: always finite, orthonormal and the same again. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { trainItq } from "../../src/core/index/itq.ts"
import { orthonormalise } from "../../src/core/index/orthonormal.ts"
import { pcg64 } from "../../src/core/index/pcg64.ts"
import { orthogonalProjection } from "../../src/core/index/projection.ts"
import { kernels } from "../../src/core/native.ts"
import { KINDS, randomVectors } from "./kernels/random.ts"

/** Largest difference between the products of columns (of rows, when there are fewer) and the identity. */
const departure = (matrix: Float32Array, rows: number, columns: number): number => {
  const [count, length, step, stride] = rows < columns ? [rows, columns, columns, 1] : [columns, rows, 1, columns]
  let worst = 0
  for (let a = 0; a < count; a++) {
    for (let b = a; b < count; b++) {
      let sum = 0
      for (let i = 0; i < length; i++) sum += matrix[a * step + i * stride]! * matrix[b * step + i * stride]!
      worst = Math.max(worst, Math.abs(sum - (a === b ? 1 : 0)))
      assert.ok(Number.isFinite(sum))
    }
  }
  return worst
}

const assertOrthonormal = (matrix: Float32Array, rows: number, columns: number): void => {
  const worst = departure(matrix, rows, columns)
  assert.ok(worst < 1e-5, `off by ${worst} at ${rows} x ${columns}`)
}

const seeds = fc.nat(0xffff_ffff)

test("the orthogonal projection is orthonormal and its own repetition", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 600 }), seeds, (dimensions, seed) => {
      const projection = orthogonalProjection(dimensions, seed)
      assertOrthonormal(projection, dimensions, 256)
      assert.deepEqual(orthogonalProjection(dimensions, seed), projection)
    }),
    {
      numRuns: 5,
      examples: [
        [1, 0],
        [255, 1],
        [256, 2],
        [257, 3]
      ]
    }
  )
})

test("anything becomes orthonormal", () => {
  const component = fc.oneof(fc.constantFrom(0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY), fc.float())
  const shape = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }))
  const matrices = shape.chain(([rows, columns]) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      values: fc.array(component, { minLength: rows * columns, maxLength: rows * columns })
    })
  )
  fc.assert(
    fc.property(matrices, seeds, ({ rows, columns, values }, seed) => {
      assertOrthonormal(orthonormalise(Float32Array.from(values), rows, columns, pcg64(seed)), rows, columns)
    })
  )
})

test("a basis that is orthonormal already is kept", () => {
  const projection = orthogonalProjection(40, 9)
  const again = orthonormalise(projection.slice(), 40, 256, pcg64(1))
  for (const [i, x] of again.entries()) assert.ok(Math.abs(x - projection[i]!) < 1e-6)
})

/** Samples that leave directions without variance, or nearly so. */
const DEGENERATE: ReadonlyArray<readonly [name: string, make: (rows: number, dimensions: number) => Float32Array]> = [
  ["one row", (_, d) => randomVectors(1, d)],
  ["fewer rows than dimensions", (_, d) => randomVectors(1, 3 * d)],
  ["duplicates", (n, d) => randomVectors(1, n * d).map((_, i, all) => all[i % d]!)],
  ["two points", (n, d) => randomVectors(1, n * d).map((_, i, all) => all[(i % d) + d * (Math.floor(i / d) % 2)]!)],
  ["zeros", (n, d) => new Float32Array(n * d)],
  ["tiny variance about a large mean", (n, d) => randomVectors(1, n * d).map((x) => 1000 + x * 1e-4)],
  ["magnitudes near 1e-30", (n, d) => randomVectors(1, n * d).map((x) => x * 1e-30)],
  ["magnitudes near 1e30", (n, d) => randomVectors(1, n * d).map((x) => x * 1e30)],
  ["one direction far above the others", (n, d) => randomVectors(1, n * d).map((x, i) => (i % d === 0 ? x * 1e6 : x))],
  ["half of the components zero", (n, d) => randomVectors(1, n * d).map((x, i) => (i % 2 === 0 ? x : 0))]
]

for (const [name, make] of DEGENERATE) {
  test(`training is orthonormal on ${name}`, () => {
    for (const dimensions of [3, 300]) {
      const parameters = trainItq(kernels, make(40, dimensions), dimensions, { seed: 4, iterations: 2 })
      assert.ok(parameters.every(Number.isFinite))
      assertOrthonormal(parameters.subarray(dimensions), dimensions, 256)
    }
  })
}

test("training is orthonormal and its own repetition on random samples", () => {
  const samples = fc.record({
    dimensions: fc.oneof(fc.integer({ min: 1, max: 256 }), fc.integer({ min: 257, max: 400 })),
    rows: fc.integer({ min: 1, max: 60 }),
    kind: fc.constantFrom(...KINDS),
    seed: seeds
  })
  fc.assert(
    fc.property(samples, ({ dimensions, rows, kind, seed }) => {
      const sample = randomVectors(seed, rows * dimensions, kind)
      const train = () => trainItq(kernels, sample, dimensions, { seed, iterations: 2 })
      const parameters = train()
      assertOrthonormal(parameters.subarray(dimensions), dimensions, 256)
      assert.deepEqual(train(), parameters)
    }),
    { numRuns: 8 }
  )
})
