/**
 * The subspace of 256 directions that keeps most of the variance of a sample, by block power
 * iteration. Only the subspace matters, since a rotation inside it is learned next, so a few
 * steps do: directions near the 256th have nearly the same variance.
 */
import type { Kernels } from "../kernels/contract.ts"
import { CODE_BITS } from "../store/layout.ts"
import type { Residuals } from "./centred.ts"
import { orthonormalise } from "./orthonormal.ts"
import type { Uint32Source } from "./pcg64.ts"

type Product = (directions: Float32Array) => Float32Array

const addTo = (total: Float32Array, part: Float32Array): void => {
  for (let i = 0; i < total.length; i++) total[i] = total[i]! + part[i]!
}

/** Multiplies by the covariance, computed once: `n d^2` products, then `256 d^2` each time. */
const byCovariance = (kernels: Pick<Kernels, "matmul">, sample: Residuals): Product => {
  const d = sample.dimensions
  const covariance = new Float32Array(d * d)
  const part = new Float32Array(d * d)
  sample.forEachChunk(({ rows, vectors, transposed }) => {
    kernels.matmul(transposed(), vectors, part, d, rows, d)
    addTo(covariance, part)
  })
  return (directions) => {
    const product = new Float32Array(d * CODE_BITS)
    kernels.matmul(covariance, directions, product, d, d, CODE_BITS)
    return product
  }
}

/** Multiplies by the sample and by its transpose: `512 n d` products each time. */
const bySample =
  (kernels: Pick<Kernels, "matmul">, sample: Residuals): Product =>
  (directions) => {
    const d = sample.dimensions
    const product = new Float32Array(d * CODE_BITS)
    const part = new Float32Array(d * CODE_BITS)
    sample.forEachChunk(({ rows, vectors, transposed }) => {
      const projected = new Float32Array(rows * CODE_BITS)
      kernels.matmul(vectors, directions, projected, rows, d, CODE_BITS)
      kernels.matmul(transposed(), projected, part, d, rows, CODE_BITS)
      addTo(product, part)
    })
    return product
  }

/**
 * Orthonormal directions, `dimensions x 256`, of a sample of more than 256 dimensions, after
 * `steps` of the iteration from `start`. What the sample does not vary in is drawn from `source`.
 */
export const principalSubspace = (
  kernels: Pick<Kernels, "matmul">,
  sample: Residuals,
  start: Float32Array,
  steps: number,
  source: Uint32Source
): Float32Array => {
  const { rows, dimensions } = sample
  const covarianceCost = (rows + steps * CODE_BITS) * dimensions
  const sampleCost = steps * 2 * CODE_BITS * rows
  const product = covarianceCost < sampleCost ? byCovariance(kernels, sample) : bySample(kernels, sample)
  let directions = start
  for (let step = 0; step < steps; step++) {
    directions = orthonormalise(product(directions), dimensions, CODE_BITS, source)
  }
  return directions
}
