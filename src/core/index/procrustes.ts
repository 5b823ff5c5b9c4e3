/**
 * The rotation that brings rows nearest to what they are to become (orthogonal Procrustes): the polar factor of the
 * correlation between the two.
 */
import { type Matmul, polarFactor } from "./polar.ts"

/**
 * Weight of the previous rotation in the next, relative to the root-mean-square singular value:
 * directions without variance keep their place, and the polar factor stays well conditioned.
 */
const INERTIA = 0.1

/** Orthonormal columns along `correlation`, `rows x columns`, a little held back by those of `previous`. */
export const procrustes = (
  kernels: Matmul,
  correlation: Float32Array | Float64Array,
  previous: Float32Array,
  rows: number,
  columns: number
): Float32Array => {
  let squares = 0
  for (let i = 0; i < correlation.length; i++) squares += correlation[i]! * correlation[i]!
  const scale = squares > 0 ? Math.sqrt(columns / squares) : 0
  const next = Float32Array.from(previous, (before, i) => correlation[i]! * scale + INERTIA * before)
  polarFactor(kernels, next, rows, columns)
  return next
}
