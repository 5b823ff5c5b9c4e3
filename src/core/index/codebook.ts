/** Codebooks of product quantisation: k-means in every subspace of a sample, each for itself. */
import type { Kernels } from "../kernels/contract.ts"
import { codebookOffsets, subspaceStart } from "../kernels/pq.ts"
import { type PqShape, parameterCount } from "../store/layout.ts"
import { transpose } from "./centred.ts"
import { factorScaleOf, type Training } from "./encoder.ts"
import { halfNormsOf, lloyd } from "./kmeans.ts"
import { pcg64 } from "./pcg64.ts"
import { spreadSeeds } from "./seeds.ts"

/** Vectors a centroid to train on: half as many were measured to change recall by less than its noise. */
const ROWS_A_CENTROID = 64
/** Rounds of Lloyd: twice as many were measured to change recall by less than its noise. */
const ROUNDS = 12
/** One row of so many is held out to measure the distortion, where there are enough for it. */
const HELD_OUT = 16
const LEAST_ROWS_TO_HOLD_OUT = 1024

/** Rows of a sample that are worth having. */
export const codebookRows = ({ bits }: PqShape): number => ROWS_A_CENTROID << Math.max(bits, 6)

interface CodebookOptions {
  readonly seed: number
  /** Called with the fraction that is done, in (0, 1]. */
  readonly progress?: (fraction: number) => void
}

export interface Codebook {
  /** In shared memory, as `kernels/pq.ts` describes. */
  readonly parameters: Float32Array<SharedArrayBuffer>
  readonly factorScale: number
  readonly training: Training
}

/** Trains on `sample`, one or more rows of `dimensions` finite components. */
export const trainCodebook = (
  kernels: Pick<Kernels, "matmul">,
  sample: Float32Array,
  dimensions: number,
  pq: PqShape,
  { seed, progress = () => undefined }: CodebookOptions
): Codebook => {
  const layout = { dimensions, subspaces: pq.m, subspaceBits: pq.bits }
  const { centroids, codebook, halves } = codebookOffsets(layout)
  const rows = sample.length / dimensions
  const isHeldOut = (row: number) => rows >= LEAST_ROWS_TO_HOLD_OUT && row % HELD_OUT === HELD_OUT - 1
  const rowNumbers = Array.from({ length: rows }, (_, row) => row)
  const trained = rowNumbers.filter((row) => !isHeldOut(row))
  const heldOut = trained.length < rows ? rowNumbers.filter(isHeldOut) : trained
  const mean = meanOf(sample, dimensions, trained)
  const factorScale = factorScaleOf("l2", sample, mean)
  const parameters = new Float32Array(new SharedArrayBuffer(4 * parameterCount(dimensions, pq)))
  parameters.set(mean)
  const source = pcg64(seed)
  let error = 0
  let variance = 0
  for (let s = 0; s < pq.m; s++) {
    const [start, end] = [subspaceStart(layout, s), subspaceStart(layout, s + 1)]
    const part = (wanted: ReadonlyArray<number>) =>
      scaledPart(sample, dimensions, wanted, mean, 1 / factorScale, start, end)
    const width = end - start
    const points = { vectors: part(trained), count: trained.length, dimensions: width }
    const found = spreadSeeds(points, centroids, source)
    for (let round = 1; round <= ROUNDS; round++) {
      lloyd(kernels, points, found, 1, source)
      progress((s + round / (ROUNDS + 1)) / pq.m)
    }
    const columns = parameters.subarray(codebook + start * centroids, codebook + end * centroids)
    transpose(found, centroids, width, columns)
    parameters.set(halfNormsOf(found, width), halves + s * centroids)
    const held = part(heldOut)
    error += squaredError(held, width, columns, centroids)
    variance += held.reduce((sum, x) => sum + x * x, 0)
    progress((s + 1) / pq.m)
  }
  const distortion = variance > 0 ? error / variance : 0
  return { parameters, factorScale, training: { rows, distortion } }
}

const meanOf = (sample: Float32Array, dimensions: number, rows: ReadonlyArray<number>): Float32Array => {
  const sum = new Float64Array(dimensions)
  for (const row of rows) {
    for (let i = 0; i < dimensions; i++) sum[i] = sum[i]! + sample[row * dimensions + i]!
  }
  return Float32Array.from(sum, (x) => x / rows.length)
}

/** Components `[start, end)` of rows, less the mean and scaled. */
const scaledPart = (
  sample: Float32Array,
  dimensions: number,
  rows: ReadonlyArray<number>,
  mean: Float32Array,
  scale: number,
  start: number,
  end: number
): Float32Array => {
  const out = new Float32Array(rows.length * (end - start))
  let at = 0
  for (const row of rows) {
    for (let i = start; i < end; i++) out[at++] = (sample[row * dimensions + i]! - mean[i]!) * scale
  }
  return out
}

/** Sum of squared distances of points from their nearest centroids, without the cancellation of a product. */
const squaredError = (points: Float32Array, width: number, columns: Float32Array, count: number): number => {
  let total = 0
  for (let from = 0; from < points.length; from += width) {
    let least = Number.POSITIVE_INFINITY
    for (let c = 0; c < count; c++) {
      let distance = 0
      for (let i = 0; i < width; i++) {
        const difference = points[from + i]! - columns[i * count + c]!
        distance += difference * difference
      }
      least = Math.min(least, distance)
    }
    total += least
  }
  return total
}
