/** Codebooks of product quantisation: k-means in every subspace of a sample, each for itself. */
import type { Kernels } from "../kernels/contract.ts"
import { codebookOffsets, subspaceStart } from "../kernels/pq.ts"
import { type PqShape, parameterCount } from "../store/layout.ts"
import { meanOf, type Residuals, residualsOf, transpose } from "./centred.ts"
import { factorScaleOf, type Training } from "./encoder.ts"
import { halfNormsOf, lloyd, nearest, type Points } from "./kmeans.ts"
import { optimisedRotation } from "./optimised.ts"
import { pcg64, type Uint32Source } from "./pcg64.ts"
import {
  type Centroids,
  codeLayout,
  decode,
  MAX_ROTATED_DIMENSIONS,
  pointsOf,
  principalRotation,
  type Rotation,
  rotate
} from "./rotation.ts"
import { spreadSeeds } from "./seeds.ts"

/** Vectors a centroid to train on: half as many were measured to change recall by less than its noise. */
const ROWS_A_CENTROID = 64
/** Rounds of Lloyd: twice as many were measured to change recall by less than its noise. */
const ROUNDS = 12
/** Rounds after which rotations are compared: what they lose is far apart by then. */
const ROUNDS_TO_COMPARE = 4
/** One row of so many is held out to measure the distortion, where there are enough for it. */
const HELD_OUT = 16
const LEAST_ROWS_TO_HOLD_OUT = 1024

/** Rows of a sample that are worth having. */
export const codebookRows = ({ bits }: PqShape): number => ROWS_A_CENTROID << Math.max(bits, 6)

interface CodebookOptions {
  readonly seed: number
  /** Called with the fraction that is done, in (0, 1]. */
  readonly progress?: Progress
}

type Progress = (fraction: number) => void

export interface Codebook {
  /** In shared memory, as `kernels/pq.ts` describes. */
  readonly parameters: Float32Array<SharedArrayBuffer>
  readonly factorScale: number
  /** Components of rotated vectors, where they are rotated. */
  readonly rotated?: number
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
  const rows = sample.length / dimensions
  const isHeldOut = (row: number) => rows >= LEAST_ROWS_TO_HOLD_OUT && row % HELD_OUT === HELD_OUT - 1
  const rowNumbers = Array.from({ length: rows }, (_, row) => row)
  const trained = rowNumbers.filter((row) => !isHeldOut(row))
  const heldOut = trained.length < rows ? rowNumbers.filter(isHeldOut) : trained
  const mean = meanOf(sample, dimensions, trained)
  const factorScale = factorScaleOf("l2", sample, mean)
  const { rotation, centroids, distortion } = trainSubspaces({
    kernels,
    dimensions,
    pq,
    trained: residualsOf(sample, trained, mean, 1 / factorScale),
    heldOut: residualsOf(sample, heldOut, mean, 1 / factorScale),
    random: pcg64(seed),
    progress
  })
  return {
    parameters: parametersOf(mean, dimensions, pq, centroids, rotation),
    factorScale,
    ...(rotation && { rotated: rotation.components }),
    training: { rows, distortion }
  }
}

/** What is trained on. */
interface Sample {
  readonly kernels: Pick<Kernels, "matmul">
  readonly dimensions: number
  readonly pq: PqShape
  readonly trained: Residuals
  readonly heldOut: Residuals
  readonly random: Uint32Source
  readonly progress: Progress
}

interface Trained {
  readonly centroids: Centroids
  readonly rotation?: Rotation | undefined
  readonly distortion: number
}

/** Trains with the rotation that is asked for; of two, with the one that loses less of the rows held out. */
const trainSubspaces = (sample: Sample): Trained => {
  const { kernels, trained, pq, dimensions, random, progress } = sample
  const rotation = dimensions > MAX_ROTATED_DIMENSIONS ? undefined : pq.rotation
  if (rotation === undefined) return improved(sample, {}, ROUNDS)
  const principal = { rotation: principalRotation(kernels, trained, pq) }
  if (rotation === "pca") return improved(sample, principal, ROUNDS)
  const between = (from: number, to: number) => ({
    ...sample,
    progress: (fraction: number) => progress(from + (to - from) * fraction)
  })
  if (rotation === "auto") {
    const straight = improved(between(0, 0.25), {}, ROUNDS_TO_COMPARE)
    const rotated = improved(between(0.25, 0.5), principal, ROUNDS_TO_COMPARE)
    const better = rotated.distortion < straight.distortion ? rotated : straight
    return improved(between(0.5, 1), better, ROUNDS - ROUNDS_TO_COMPARE)
  }
  const start = improved(between(0, 0.25), principal, ROUNDS)
  const cut = { rotation: principal.rotation, centroids: start.centroids }
  const turned = optimisedRotation(kernels, trained, pq, cut, random, between(0.25, 0.9).progress)
  const optimised = improved(between(0.9, 1), turned, ROUNDS_TO_COMPARE)
  // What was learned of few rows may hold for them alone.
  return optimised.distortion < start.distortion ? optimised : start
}

/** What rounds of Lloyd start from: centroids are drawn where there are none. */
type Start = Partial<Pick<Trained, "centroids" | "rotation">>

/** Centroids of every subspace after so many rounds, and what they lose. */
const improved = (sample: Sample, { rotation, centroids: start }: Start, rounds: number): Trained => {
  const { kernels, dimensions, pq, trained, random, progress } = sample
  const layout = codeLayout(dimensions, pq, rotation?.components ?? 0)
  const { centroids: count } = codebookOffsets(layout)
  const points = cutter(kernels, trained, rotation)
  const centroids = Array.from({ length: pq.m }, (_, s) => {
    const part = points(subspaceStart(layout, s), subspaceStart(layout, s + 1))
    const found = start?.[s] ?? spreadSeeds(part, count, random)
    for (let round = 1; round <= rounds; round++) {
      lloyd(kernels, part, found, 1, random)
      progress((s + round / rounds) / pq.m)
    }
    return found
  })
  return { centroids, rotation, distortion: distortionOf(sample, rotation, centroids) }
}

/** Gives components `[start, end)` of rows as they are cut into subspaces. */
const cutter = (
  kernels: Pick<Kernels, "matmul">,
  residuals: Residuals,
  rotation: Rotation | undefined
): ((start: number, end: number) => Points) => {
  if (rotation !== undefined) {
    const rotated = rotate(kernels, residuals, rotation)
    return (start, end) => pointsOf(rotated, rotation.components, start, end)
  }
  return (start, end) => ({ vectors: residuals.part(start, end), count: residuals.rows, dimensions: end - start })
}

/** Squared error of decoded rows over their squares, both summed without the cancellation of a product. */
const distortionOf = (
  { kernels, dimensions, pq, heldOut }: Sample,
  rotation: Rotation | undefined,
  centroids: Centroids
): number => {
  const { rows } = heldOut
  const layout = codeLayout(dimensions, pq, rotation?.components ?? 0)
  const components = rotation?.components ?? dimensions
  const points = cutter(kernels, heldOut, rotation)
  const coded = new Float32Array(rows * components)
  for (const [s, found] of centroids.entries()) {
    const [start, end] = [subspaceStart(layout, s), subspaceStart(layout, s + 1)]
    decode(nearest(kernels, points(start, end), found), found, coded, components, start, end)
  }
  let error = 0
  let variance = 0
  const back = rotation && transpose(rotation.matrix, dimensions, components, new Float32Array(dimensions * components))
  heldOut.forEachChunk(({ from, rows, vectors }) => {
    const part = coded.subarray(from * components, (from + rows) * components)
    const decoded = back === undefined ? part : new Float32Array(rows * dimensions)
    if (back !== undefined) kernels.matmul(part, back, decoded, rows, components, dimensions)
    for (let i = 0; i < vectors.length; i++) {
      variance += vectors[i]! * vectors[i]!
      error += (vectors[i]! - decoded[i]!) ** 2
    }
  })
  return variance > 0 ? error / variance : 0
}

const parametersOf = (
  mean: Float32Array,
  dimensions: number,
  pq: PqShape,
  centroids: Centroids,
  rotation: Rotation | undefined
): Float32Array<SharedArrayBuffer> => {
  const rotated = rotation?.components ?? 0
  const layout = codeLayout(dimensions, pq, rotated)
  const offsets = codebookOffsets(layout)
  const parameters = new Float32Array(new SharedArrayBuffer(4 * parameterCount(dimensions, pq, rotated)))
  parameters.set(mean)
  for (const [s, found] of centroids.entries()) {
    const [start, end] = [subspaceStart(layout, s), subspaceStart(layout, s + 1)]
    const [from, to] = [offsets.codebook + start * offsets.centroids, offsets.codebook + end * offsets.centroids]
    transpose(found, offsets.centroids, end - start, parameters.subarray(from, to))
    parameters.set(halfNormsOf(found, end - start), offsets.halves + s * offsets.centroids)
  }
  if (rotation !== undefined) parameters.set(rotation.matrix, offsets.rotation)
  return parameters
}
