/** Encoders: golden values that stored codes depend on, and what training is for. */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import { encoderParameters, factorScaleOf } from "../src/core/index/encoder.ts"
import { trainItq } from "../src/core/index/itq.ts"
import { drawDirection } from "../src/core/index/orthonormal.ts"
import { pcg64 } from "../src/core/index/pcg64.ts"
import { orthogonalProjection, publishedProjection, seededProjection } from "../src/core/index/projection.ts"
import { fillStandardNormal } from "../src/core/index/standard-normal.ts"
import type { Kernels } from "../src/core/kernels/contract.ts"
import { scalar } from "../src/core/kernels/scalar.ts"
import { kernels } from "../src/core/native.ts"
import { testEveryIsa } from "./property/kernels/addon.ts"

const sha256 = (values: Float32Array): string =>
  createHash("sha256")
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest("hex")

/** Rows whose components have ever less variance, mixed so that no axis is special. Exact on every machine. */
const correlatedRows = (seed: number, rows: number, dimensions: number): Float32Array => {
  const source = pcg64(seed)
  const axes = new Float32Array(dimensions * dimensions)
  drawDirection(source, axes)
  const weights = new Float32Array(rows * dimensions)
  drawDirection(source, weights)
  for (let i = 0; i < weights.length; i++) weights[i] = weights[i]! / Math.sqrt(1 + (i % dimensions) / 8)
  const sample = new Float32Array(rows * dimensions)
  scalar.matmul(weights, axes, sample, rows, dimensions, dimensions)
  return sample
}

test("random numbers are NumPy's: sha256 of default_rng(seed).standard_normal(98304, float32)", () => {
  const golden: ReadonlyArray<readonly [seed: number, digest: string]> = [
    [42, "b1e815052d73845b84c478088edb12149c51cfca61bb7d7ee4e7fc75f5e1b1fc"],
    [0, "fb4d8747f151b3842ca40cfa191da9bbd10d868d7d49e410aa01855682c47a0a"],
    [12345, "8fcde69a439c708da03261e16961d28081eebf0aecf33f64554f2779cdea177a"],
    [4294967295, "a81362928fc438afadc3c4c370d913566679d6fdf32f15afe4f07231878d4ae0"]
  ]
  for (const [seed, digest] of golden) {
    assert.equal(sha256(fillStandardNormal(pcg64(seed), new Float32Array(98_304))), digest)
  }
})

test("the published projection gives the published code", () => {
  const vector = Float32Array.from({ length: 384 }, (_, i) => (i - 191.5) / 384)
  const projected = new Float32Array(256)
  scalar.matmul(vector, publishedProjection(384), projected, 1, 384, 256)
  const code = new Uint8Array(32)
  for (const [m, x] of projected.entries()) if (x >= 0) code[m >> 3]! |= 1 << (m & 7)
  const view = new DataView(code.buffer)
  const words = [0, 8, 16, 24].map((at) => view.getBigUint64(at, true).toString(16).padStart(16, "0"))
  assert.deepEqual(words, ["b8daeb77179cec7d", "bbf1f44914d87184", "c0f1371825028a38", "617024c33541c89e"])
})

test("the orthogonal projection keeps its bits", () => {
  assert.equal(sha256(orthogonalProjection(384, 1)), "0222642c4bc93cf5beb80cbcb9dfff131edbb042b757193e62414be3adaa7c01")
  assert.equal(sha256(orthogonalProjection(64, 1)), "c9781c417456b9393861b35d7070f3e75eca052d683b39958180c5a9e569a3d6")
})

const TRAINED: ReadonlyArray<readonly [dimensions: number, digest: string]> = [
  [64, "f475aa0093890e0259982431da51d88ea1b31ea0d1b579799918603c981ae8a9"],
  [300, "03c517a3e798cd8a54d37ef35010b7a9ccb98c78d5ef52117cb29ef826779f14"],
  [384, "041277a346e51c4580f2acfef846c9cbb1d50033a6b2603a6711d46aa7e94afe"]
]

for (const [dimensions, digest] of TRAINED) {
  const train = (kernels: Kernels): string =>
    sha256(trainItq(kernels, correlatedRows(2, 200, dimensions), dimensions, { seed: 3, iterations: 2 }))
  test(`training at ${dimensions} dimensions keeps its bits in TypeScript`, () => {
    assert.equal(train(scalar), digest)
  })
  testEveryIsa(`training at ${dimensions} dimensions keeps its bits`, (native) => {
    assert.equal(train(native), digest)
  })
}

/** A first stage of search over `rows`: estimates of their inner products with a query. */
const firstStage = (parameters: Float32Array, rows: Float32Array) => {
  const d = parameters.length / 257
  const count = rows.length / d
  const [mean, projection] = [parameters.subarray(0, d), parameters.subarray(d)]
  const projected = new Float32Array(count * 256)
  const centred = rows.map((x, i) => x - mean[i % d]!)
  kernels.matmul(centred, projection, projected, count, d, 256)
  return (query: Float32Array): Float64Array => {
    const rotated = new Float32Array(256)
    kernels.matmul(query, projection, rotated, 1, d, 256)
    const bias = innerProducts(mean, query)[0]!
    return Float64Array.from({ length: count }, (_, row) => {
      let squares = 0
      let magnitudes = 0
      let signed = 0
      for (let m = 0; m < 256; m++) {
        const x = projected[row * 256 + m]!
        squares += x * x
        magnitudes += Math.abs(x)
        signed += x >= 0 ? rotated[m]! : -rotated[m]!
      }
      return (squares / magnitudes) * signed + bias
    })
  }
}

const innerProducts = (rows: Float32Array, query: Float32Array): Float64Array => {
  const products = new Float64Array(rows.length / query.length)
  for (let i = 0; i < rows.length; i++) products[Math.floor(i / query.length)]! += rows[i]! * query[i % query.length]!
  return products
}

test("estimates are unbiased under orthogonal and published projections", () => {
  const dimensions = 384
  const rows = new Float32Array(2000 * dimensions)
  drawDirection(pcg64(5), rows)
  const query = rows.slice(0, dimensions).map((x, i) => x + rows[dimensions + i]!)
  const truth = innerProducts(rows, query)
  const scale = Math.sqrt(truth.reduce((sum, x) => sum + x * x, 0) / truth.length)
  for (const projection of [orthogonalProjection(dimensions, 7), publishedProjection(dimensions)]) {
    const estimates = firstStage(encoderParameters(projection), rows)(query)
    const error = estimates.map((x, i) => (x - truth[i]!) / scale)
    const deviation = Math.sqrt(error.reduce((sum, x) => sum + x * x, 0) / error.length)
    const bias = error.reduce((sum, x) => sum + x, 0) / error.length
    assert.ok(Math.abs(bias) < (4 * deviation) / Math.sqrt(error.length), `bias ${bias}, deviation ${deviation}`)
    assert.ok(deviation < 1.5, `deviation ${deviation}`)
  }
})

/** Positions of the `count` largest values, ties by position. */
const best = (values: Float64Array, count: number): ReadonlyArray<number> =>
  [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b).slice(0, count)

for (const [dimensions, offset] of [
  [96, 3],
  [320, 0]
] as const) {
  test(`training at ${dimensions} dimensions about a mean of ${offset} finds more neighbours than a random projection`, () => {
    const rows = correlatedRows(11, 1500, dimensions).map((x) => x / 2 ** 18 + offset)
    const sample = rows.subarray(0, 600 * dimensions)
    const trained = firstStage(trainItq(kernels, sample, dimensions, { seed: 1, iterations: 4 }), rows)
    const random = firstStage(encoderParameters(orthogonalProjection(dimensions, 1)), rows)
    let [before, after] = [0, 0]
    for (let q = 1400; q < 1500; q++) {
      const query = rows.slice(q * dimensions, (q + 1) * dimensions).map((x, i) => x + rows[i]! / 4)
      const truth = new Set(best(innerProducts(rows, query), 10))
      const found = (values: Float64Array): number => best(values, 20).filter((row) => truth.has(row)).length
      before += found(random(query))
      after += found(trained(query))
    }
    assert.ok(after > before, `${after} of 1000 after training, ${before} before`)
  })
}

test("progress is reported after each iteration", () => {
  const fractions: Array<number> = []
  trainItq(scalar, correlatedRows(1, 20, 257), 257, {
    seed: 1,
    iterations: 4,
    progress: (done) => fractions.push(done)
  })
  assert.deepEqual(fractions, [0.25, 0.5, 0.75, 1])
})

test("the factor scale is the power of two nearest to the root-mean-square length", () => {
  const mean = new Float32Array(2)
  assert.equal(factorScaleOf("cosine", Float32Array.of(300, 400), mean), 1)
  assert.equal(factorScaleOf("dot", Float32Array.of(300, 400), mean), 512)
  assert.equal(factorScaleOf("l2", Float32Array.of(0.003, 0.004), mean), 1 / 256)
  assert.equal(factorScaleOf("l2", Float32Array.of(300, 400), Float32Array.of(299, 400)), 1)
  assert.equal(factorScaleOf("l2", Float32Array.of(0, 0), mean), 1)
  assert.equal(factorScaleOf("dot", Float32Array.of(3e37, 3e37), mean), 2 ** 60)
  assert.equal(factorScaleOf("dot", Float32Array.of(3e-37, 3e-37), mean), 2 ** -60)
})

test("the seeded projection keeps squared lengths on average, whatever the dimension", () => {
  for (const dimensions of [3, 256, 300, 1024]) {
    const projection = seededProjection(dimensions, 7)
    const vectors = fillStandardNormal(pcg64(5), new Float32Array(50 * dimensions))
    const projected = new Float32Array(50 * 256)
    scalar.matmul(vectors, projection, projected, 50, dimensions, 256)
    const squares = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0)
    const ratio = squares(projected) / squares(vectors)
    assert.ok(Math.abs(ratio - 1) < 0.05, `${dimensions}: ${ratio}`)
  }
})
