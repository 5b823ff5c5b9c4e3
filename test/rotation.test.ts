/** Rotations before product codes: what is learned, and that it pays. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { bitsOf } from "../src/core/index/bit-allocation.ts"
import { trainCodebook } from "../src/core/index/codebook.ts"
import { symmetricEigen } from "../src/core/index/eigen.ts"
import { orthonormalise } from "../src/core/index/orthonormal.ts"
import { pcg64 } from "../src/core/index/pcg64.ts"
import { codebookOffsets } from "../src/core/kernels/pq.ts"
import { scalar } from "../src/core/kernels/scalar.ts"
import type { PqShape, Rotation } from "../src/core/store/layout.ts"
import { testEveryIsa } from "./property/kernels/addon.ts"
import { randomVectors } from "./property/kernels/random.ts"

const DIMENSIONS = 24

/** Vectors whose variance lies in a few directions, none of which is an axis. */
const correlated = (seed: number, rows: number, dimensions = DIMENSIONS): Float32Array => {
  const axes = orthonormalise(randomVectors(7, dimensions * dimensions), dimensions, dimensions, pcg64(7))
  const weights = randomVectors(seed, rows * dimensions).map((x, i) => x / (1 + (i % dimensions)))
  const vectors = new Float32Array(rows * dimensions)
  scalar.matmul(weights, axes, vectors, rows, dimensions, dimensions)
  return vectors
}

const trained = (sample: Float32Array, pq: Omit<PqShape, "rotation">, rotation: Rotation, dimensions = DIMENSIONS) =>
  trainCodebook(scalar, sample, dimensions, rotation === "none" ? pq : { ...pq, rotation }, { seed: 3 })

/** How far the columns of a rotation are from orthonormal. */
const skew = (matrix: Float32Array, rows: number, columns: number): number => {
  let most = 0
  for (let a = 0; a < columns; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = a === b ? -1 : 0
      for (let i = 0; i < rows; i++) sum += matrix[i * columns + a]! * matrix[i * columns + b]!
      most = Math.max(most, Math.abs(sum))
    }
  }
  return most
}

const PQ = { m: 4, bits: 4 } as const

test("eigenvectors are what a symmetric matrix stretches alone, orthonormal, the largest first", () => {
  for (const size of [1, 2, 3, 17, 64]) {
    const half = randomVectors(size, size * size)
    const matrix = Float64Array.from(half, (x, at) => x + half[(at % size) * size + Math.floor(at / size)]!)
    // An eigenvalue twice, and one that is zero.
    if (size === 3) matrix.set([2, 0, 0, 0, 2, 0, 0, 0, 0])
    const { values, vectors } = symmetricEigen(matrix, size)
    assert.deepEqual(
      [...values],
      [...values].sort((a, b) => b - a)
    )
    for (const [i, vector] of vectors.entries()) {
      for (let row = 0; row < size; row++) {
        const stretched = vector.reduce((sum, x, j) => sum + x * matrix[row * size + j]!, 0)
        assert.ok(Math.abs(stretched - values[i]! * vector[row]!) < 1e-12 * size)
      }
    }
    const columns = Float32Array.from({ length: size * size }, (_, at) => vectors[at % size]![Math.floor(at / size)]!)
    assert.ok(skew(columns, size, size) < 1e-6)
  }
})

test("bits follow variances, what is below the level has none, and all are spent", () => {
  const bits = bitsOf([64, 16, 4, 1, 1 / 4096], 12, 1)
  // Halves of the logarithms are 3, 2, 1, 0 and -6: above -1.5 they take 12 bits.
  assert.deepEqual(bits, [4.5, 3.5, 2.5, 1.5])
  assert.deepEqual(bitsOf([64, 16, 4, 1, 1 / 4096], 12, 5).slice(0, 4), bits)
  assert.equal(bitsOf([64, 16, 4, 1, 1 / 4096], 36, 1).length, 5)
  assert.deepEqual(bitsOf([5, 0, 0], 8, 1), [8])
  assert.deepEqual(bitsOf([0, 0], 8, 1), [4, 4])
})

test("a rotation has orthonormal columns and pays, and a further turned one loses no more", () => {
  const sample = correlated(1, 3000)
  const none = trained(sample, PQ, "none")
  const pca = trained(sample, PQ, "pca")
  const opq = trained(sample, PQ, "opq")
  assert.equal(none.rotated, undefined)
  for (const { parameters, rotated } of [pca, opq]) {
    assert.ok(rotated! >= 4 && rotated! < DIMENSIONS, `${rotated} components`)
    const layout = { dimensions: DIMENSIONS, subspaces: 4, subspaceBits: 4, rotated: rotated! }
    assert.ok(skew(parameters.subarray(codebookOffsets(layout).rotation), DIMENSIONS, rotated!) < 1e-5)
  }
  const lost = [none, pca, opq].map(({ training }) => training.distortion)
  assert.ok(lost[1]! < 0.7 * lost[0]!, `${lost}`)
  assert.ok(lost[2]! < lost[1]!, `${lost}`)
})

test("auto takes the rotation where it pays, and none where it does not", () => {
  const sample = correlated(1, 3000)
  const auto = trained(sample, PQ, "auto")
  assert.ok(auto.rotated! > 0)
  const [best, pca] = [auto, trained(sample, PQ, "pca")].map(({ training }) => training.distortion)
  assert.ok(best! < 1.05 * pca!)
  // Components that are independent and even: any mixture of them is harder to tell with 16 centroids each.
  const even = randomVectors(2, 3000 * 4)
  assert.equal(trained(even, PQ, "auto", 4).rotated, undefined)
  assert.equal(trained(even, PQ, "pca", 4).rotated, 4)
  const [straight, turned] = [trained(even, PQ, "auto", 4), trained(even, PQ, "pca", 4)]
  assert.ok(straight.training.distortion < turned.training.distortion)
})

test("samples without variance, with fewer rows than components, and of any magnitude have a rotation", () => {
  const same = trained(new Float32Array(300 * 8).fill(3), PQ, "opq", 8)
  assert.equal(same.training.distortion, 0)
  const few = trained(correlated(4, 12), PQ, "pca")
  assert.ok(few.parameters.every(Number.isFinite) && few.rotated! < 12)
  const sample = correlated(5, 600)
  const { distortion } = trained(sample, PQ, "opq").training
  for (const scale of [2 ** -90, 2 ** 45]) {
    const scaled = trained(
      sample.map((x) => x * scale),
      PQ,
      "opq"
    )
    assert.ok(Math.abs(scaled.training.distortion - distortion) < 1e-3, `${scaled.training.distortion}`)
  }
})

testEveryIsa("rotations have the same bits as in TypeScript, and others for another seed", (native) => {
  const sample = correlated(3, 1500, 13)
  const made = (kernels: typeof native, seed: number, rotation: "pca" | "opq" | "auto") =>
    trainCodebook(kernels, sample, 13, { m: 5, bits: 8, rotation }, { seed })
  for (const rotation of ["pca", "opq", "auto"] as const) {
    const expected = made(scalar, 7, rotation)
    assert.deepEqual(made(native, 7, rotation), expected)
    assert.notDeepEqual(made(native, 8, rotation).parameters, expected.parameters)
  }
})

test("progress grows to 1 for every rotation", () => {
  for (const rotation of ["pca", "opq", "auto"] as const) {
    const seen: Array<number> = []
    const progress = (done: number) => seen.push(done)
    trainCodebook(scalar, correlated(1, 300, 8), 8, { m: 4, bits: 4, rotation }, { seed: 1, progress })
    assert.ok(seen.length > 10 && seen.every((done, i) => done > 0 && done <= 1 && done >= (seen[i - 1] ?? 0)))
    assert.equal(seen.at(-1), 1)
  }
})
