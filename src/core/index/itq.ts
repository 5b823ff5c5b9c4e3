/**
 * Iterative quantisation (Gong and Lazebnik): a projection whose signs lose least of a sample.
 * The principal subspace of 256 directions, then the rotation of it that brings the components
 * nearest to +-1, found by alternating between the signs and the best rotation for them.
 *
 * Products of matrices in the kernels' fixed order, and f64 loops with + - * / and square roots:
 * the same sample and seed give the same bits on every machine.
 */
import type { Kernels } from "../kernels/contract.ts"
import { CODE_BITS } from "../store/layout.ts"
import { type CentredSample, centre, transpose } from "./centred.ts"
import { encoderParameters } from "./encoder.ts"
import { orthonormalise } from "./orthonormal.ts"
import { principalSubspace } from "./pca.ts"
import { pcg64 } from "./pcg64.ts"
import { polarFactor } from "./polar.ts"
import { orthogonalProjection } from "./projection.ts"

/** Vectors to train on: twice as many change recall by less than its noise. */
export const TRAINING_ROWS = 4096
/** Alternations between signs and rotation: recall is level from six on. */
const TRAINING_ITERATIONS = 10
/** Steps of the power iteration for the subspace: recall is level from two on. */
const SUBSPACE_STEPS = 4
/**
 * Weight of the previous rotation in the next, relative to the root-mean-square singular value:
 * directions without variance keep their place, and the polar factor stays well conditioned.
 */
const INERTIA = 0.1

interface TrainingOptions {
  readonly seed: number
  readonly iterations?: number
  /** Called with the fraction of the iterations that is done, in (0, 1]. */
  readonly progress?: (fraction: number) => void
}

/** The sample in the coordinates of the subspace: `rows x 256`. */
const coordinates = (kernels: Pick<Kernels, "matmul">, sample: CentredSample, subspace: Float32Array): Float32Array => {
  const out = new Float32Array(sample.rows * CODE_BITS)
  sample.forEachChunk(({ from, rows, vectors }) => {
    const chunk = out.subarray(from * CODE_BITS, (from + rows) * CODE_BITS)
    kernels.matmul(vectors, subspace, chunk, rows, sample.dimensions, CODE_BITS)
  })
  return out
}

const replaceBySigns = (matrix: Float32Array): void => {
  for (let i = 0; i < matrix.length; i++) matrix[i] = matrix[i]! >= 0 ? 1 : -1
}

/** `matrix / s + INERTIA * previous` in place, where `s` is the root-mean-square singular value of `matrix`. */
const addInertia = (matrix: Float32Array, previous: Float32Array): void => {
  let squares = 0
  for (let i = 0; i < matrix.length; i++) squares += matrix[i]! * matrix[i]!
  const scale = squares > 0 ? Math.sqrt(CODE_BITS / squares) : 0
  for (let i = 0; i < matrix.length; i++) matrix[i] = matrix[i]! * scale + INERTIA * previous[i]!
}

/** The rotation, `256 x 256`, that `iterations` lead to from `start`. */
const learnRotation = (
  kernels: Pick<Kernels, "matmul">,
  vectors: Float32Array,
  start: Float32Array,
  iterations: number,
  progress: (fraction: number) => void
): Float32Array => {
  const rows = vectors.length / CODE_BITS
  const transposed = transpose(vectors, rows, CODE_BITS, new Float32Array(vectors.length))
  const signs = new Float32Array(vectors.length)
  let rotation = start
  for (let iteration = 1; iteration <= iterations; iteration++) {
    kernels.matmul(vectors, rotation, signs, rows, CODE_BITS, CODE_BITS)
    replaceBySigns(signs)
    const next = new Float32Array(rotation.length)
    kernels.matmul(transposed, signs, next, CODE_BITS, rows, CODE_BITS)
    addInertia(next, rotation)
    polarFactor(kernels, next, CODE_BITS, CODE_BITS)
    rotation = next
    progress(iteration / iterations)
  }
  return rotation
}

/**
 * Trains on `sample`, one or more rows of `dimensions` finite components, and returns the
 * parameters of an encoder. The projection is orthonormal whatever the sample; directions in
 * which it does not vary are random.
 *
 * Up to 256 dimensions nothing is left out by a projection, and a learned rotation was measured
 * to find no more neighbours than a random one (fewer at 64 dimensions): only the mean is learned.
 */
export const trainItq = (
  kernels: Pick<Kernels, "matmul">,
  sample: Float32Array,
  dimensions: number,
  { seed, iterations = TRAINING_ITERATIONS, progress = () => undefined }: TrainingOptions
): Float32Array<SharedArrayBuffer> => {
  const centred = centre(sample, dimensions)
  const random = orthogonalProjection(dimensions, seed)
  if (dimensions <= CODE_BITS) {
    progress(1)
    return encoderParameters(random, centred.mean)
  }
  const source = pcg64(seed)
  const subspace = principalSubspace(kernels, centred, random, SUBSPACE_STEPS, source)
  const start = orthogonalProjection(CODE_BITS, seed)
  const rotation = learnRotation(kernels, coordinates(kernels, centred, subspace), start, iterations, progress)
  const projection = new Float32Array(dimensions * CODE_BITS)
  kernels.matmul(subspace, rotation, projection, dimensions, CODE_BITS, CODE_BITS)
  return encoderParameters(orthonormalise(projection, dimensions, CODE_BITS, source), centred.mean)
}
