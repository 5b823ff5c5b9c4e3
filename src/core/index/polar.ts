/**
 * The orthonormal matrix nearest to a matrix (its polar factor), by Newton-Schulz iteration:
 * products of matrices only, which are deterministic and fast.
 */
import type { Kernels } from "../kernels/contract.ts"
import { transpose } from "./centred.ts"

export type Matmul = Pick<Kernels, "matmul">

/** Singular values are expected in [this, 1] of the largest; smaller ones end below 1. */
const SMALLEST_SINGULAR_VALUE = 0.02
/** The iteration stops when the interval of singular values is this close to [1, 1]. */
const TOLERANCE = 1e-4

/** A bound of the largest eigenvalue of a symmetric matrix: its largest sum of magnitudes of a row. */
const eigenvalueBound = (matrix: Float32Array, size: number): number => {
  let bound = 0
  for (let row = 0; row < size; row++) {
    let sum = 0
    for (let i = row * size; i < (row + 1) * size; i++) sum += Math.abs(matrix[i]!)
    bound = Math.max(bound, sum)
  }
  return bound
}

/**
 * Overwrites a `matrix` of no more columns than rows by its polar factor: orthonormal columns within the tolerance, if
 * the matrix is as well conditioned as expected. Magnitudes near 1 are wanted: their squares must stay in f32.
 */
export const polarFactor = (kernels: Matmul, matrix: Float32Array, rows: number, columns: number): void => {
  const gram = new Float32Array(rows * rows)
  const transposed = new Float32Array(matrix.length)
  const product = new Float32Array(matrix.length)
  let smallest = SMALLEST_SINGULAR_VALUE
  let largest = 0
  while (smallest < 1 - TOLERANCE) {
    kernels.matmul(matrix, transpose(matrix, rows, columns, transposed), gram, rows, columns, rows)
    if (largest === 0) largest = Math.sqrt(eigenvalueBound(gram, rows))
    if (largest === 0) return
    kernels.matmul(gram, matrix, product, rows, rows, columns)
    // f(x) = s x (3 - (s x)^2) / 2 maps [smallest, 1] into [f(smallest), 1]: with the scale s that
    // gives both ends the same value, the smallest grow by 2.6 a step instead of 1.5.
    const scale = Math.sqrt(3 / (1 + smallest + smallest * smallest))
    const linear = (1.5 * scale) / largest
    const cubic = (0.5 * scale * scale * scale) / (largest * largest * largest)
    for (let i = 0; i < matrix.length; i++) matrix[i] = linear * matrix[i]! - cubic * product[i]!
    smallest = (scale * smallest * (3 - scale * scale * smallest * smallest)) / 2
    largest = 1
  }
}
