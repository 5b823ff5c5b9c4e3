/**
 * A rotation that product codes lose less of vectors after: principal components dealt out to subspaces, as the
 * parametric solution of optimised product quantisation has it (Ge, He, Ke and Sun, CVPR 2013). Products in the kernels'
 * fixed order and f64 loops of + - * / and square roots: the same sample gives the same bits on every machine.
 */
import { subspaceStart } from "../kernels/pq.ts"
import type { PqShape } from "../store/layout.ts"
import { bitsOf } from "./bit-allocation.ts"
import type { ResidualChunk, Residuals } from "./centred.ts"
import { symmetricEigen } from "./eigen.ts"
import type { Points } from "./kmeans.ts"
import type { Matmul } from "./polar.ts"

/** Most dimensions that are rotated: eigenvectors of as many take half a minute, of twice as many eight times that. */
export const MAX_ROTATED_DIMENSIONS = 2048
/** Columns that are orthonormal, `dimensions x components` row-major: what vectors are multiplied by. */
export interface Rotation {
  readonly matrix: Float32Array
  readonly components: number
}

/** The codes of rotated vectors, as kernels are told of them. */
export const codeLayout = (dimensions: number, pq: PqShape, rotated: number) => ({
  dimensions,
  subspaces: pq.m,
  subspaceBits: pq.bits,
  rotated
})

/** Every row times the rotation, `rows x components`. */
export const rotate = (
  kernels: Matmul,
  residuals: Residuals,
  { matrix, components }: Rotation,
  out = new Float32Array(residuals.rows * components)
): Float32Array => {
  residuals.forEachChunk(({ from, rows, vectors }) => {
    const chunk = out.subarray(from * components, (from + rows) * components)
    kernels.matmul(vectors, matrix, chunk, rows, residuals.dimensions, components)
  })
  return out
}

/** Sum of `x^T y` over the rows `x` of the residuals and `y` of another matrix of as many, `dimensions x columns`. */
export const correlation = (
  kernels: Matmul,
  residuals: Residuals,
  other: (chunk: ResidualChunk) => Float32Array,
  columns: number
): Float64Array => {
  const { dimensions } = residuals
  const sum = new Float64Array(dimensions * columns)
  const part = new Float32Array(sum.length)
  residuals.forEachChunk((chunk) => {
    kernels.matmul(chunk.transposed(), other(chunk), part, dimensions, chunk.rows, columns)
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + part[i]!
  })
  return sum
}

/** The principal components that a code has bits for, dealt out so that every subspace needs as many. */
export const principalRotation = (kernels: Matmul, residuals: Residuals, pq: PqShape): Rotation => {
  const { dimensions, rows } = residuals
  const covariance = correlation(kernels, residuals, ({ vectors }) => vectors, dimensions)
  const { values, vectors } = symmetricEigen(
    covariance.map((sum) => sum / rows),
    dimensions
  )
  const bits = bitsOf(values, pq.m * pq.bits, pq.m)
  const components = bits.length
  const layout = codeLayout(dimensions, pq, components)
  const needed = new Float64Array(pq.m)
  const next = Array.from(needed, (_, s) => subspaceStart(layout, s))
  const matrix = new Float32Array(dimensions * components)
  for (const [i, bit] of bits.entries()) {
    let chosen = -1
    for (let s = 0; s < pq.m; s++) {
      const hasRoom = next[s]! < subspaceStart(layout, s + 1)
      if (hasRoom && (chosen < 0 || needed[s]! < needed[chosen]!)) chosen = s
    }
    needed[chosen]! += bit
    const column = next[chosen]!++
    for (let j = 0; j < dimensions; j++) matrix[j * components + column] = vectors[i]![j]!
  }
  return { matrix, components }
}

/** Centroids of every subspace in turn, `centroids x width` row-major. */
export type Centroids = ReadonlyArray<Float32Array>

/** Components `[start, end)` of rows of `components`. */
export const pointsOf = (rows: Float32Array, components: number, start: number, end: number): Points => {
  const count = rows.length / components
  const vectors = new Float32Array(count * (end - start))
  for (let row = 0; row < count; row++) {
    vectors.set(rows.subarray(row * components + start, row * components + end), row * (end - start))
  }
  return { vectors, count, dimensions: end - start }
}

/** Puts the centroid of every row into the rows of `out`, of `components`, in place of those `[start, end)`. */
export const decode = (
  members: Uint32Array,
  centroids: Float32Array,
  out: Float32Array,
  components: number,
  start: number,
  end: number
): void => {
  const width = end - start
  for (const [row, centroid] of members.entries()) {
    out.set(centroids.subarray(centroid * width, (centroid + 1) * width), row * components + start)
  }
}
