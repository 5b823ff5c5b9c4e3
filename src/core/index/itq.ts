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
import { centre, transpose } from "./centred.ts"
import { encoderParameters } from "./encoder.ts"
import { orthonormalise } from "./orthonormal.ts"
import { principalSubspace } from "./pca.ts"
import { pcg64 } from "./pcg64.ts"
import { procrustes } from "./procrustes.ts"
import { orthogonalProjection } from "./projection.ts"
import { rotate } from "./rotation.ts"

/** Vectors to train on: twice as many change recall by less than its noise. */
export const TRAINING_ROWS = 4096
/** Alternations between signs and rotation: recall is level from six on. */
const TRAINING_ITERATIONS = 10
/** Steps of the power iteration for the subspace: recall is level from two on. */
const SUBSPACE_STEPS = 4

interface TrainingOptions {
  readonly seed: number
  readonly iterations?: number
  /** Called with the fraction of the iterations that is done, in (0, 1]. */
  readonly progress?: (fraction: number) => void
}

const replaceBySigns = (matrix: Float32Array): void => {
  for (let i = 0; i < matrix.length; i++) matrix[i] = matrix[i]! >= 0 ? 1 : -1
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
  const correlation = new Float32Array(start.length)
  let rotation = start
  for (let iteration = 1; iteration <= iterations; iteration++) {
    kernels.matmul(vectors, rotation, signs, rows, CODE_BITS, CODE_BITS)
    replaceBySigns(signs)
    kernels.matmul(transposed, signs, correlation, CODE_BITS, rows, CODE_BITS)
    rotation = procrustes(kernels, correlation, rotation, CODE_BITS, CODE_BITS)
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
  const { mean, residuals } = centre(sample, dimensions)
  const random = orthogonalProjection(dimensions, seed)
  if (dimensions <= CODE_BITS) {
    progress(1)
    return encoderParameters(random, mean)
  }
  const source = pcg64(seed)
  const subspace = principalSubspace(kernels, residuals, random, SUBSPACE_STEPS, source)
  const start = orthogonalProjection(CODE_BITS, seed)
  const coordinates = rotate(kernels, residuals, { matrix: subspace, components: CODE_BITS })
  const rotation = learnRotation(kernels, coordinates, start, iterations, progress)
  const projection = new Float32Array(dimensions * CODE_BITS)
  kernels.matmul(subspace, rotation, projection, dimensions, CODE_BITS, CODE_BITS)
  return encoderParameters(orthonormalise(projection, dimensions, CODE_BITS, source), mean)
}
