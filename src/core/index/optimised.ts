/**
 * Optimised product quantisation (Ge, He, Ke and Sun, CVPR 2013): codes and rotation by turns, each the best for the
 * other. Products in the kernels' fixed order and f64 loops of + - * / and square roots: the same sample and seed give
 * the same bits on every machine.
 */
import { subspaceStart } from "../kernels/pq.ts"
import type { PqShape } from "../store/layout.ts"
import type { Residuals } from "./centred.ts"
import { nearest, recentre } from "./kmeans.ts"
import { orthonormalise } from "./orthonormal.ts"
import type { Uint32Source } from "./pcg64.ts"
import type { Matmul } from "./polar.ts"
import { procrustes } from "./procrustes.ts"
import { type Centroids, codeLayout, correlation, decode, pointsOf, type Rotation, rotate } from "./rotation.ts"

/** Turns of the alternation between codes and rotation. */
const TURNS = 12

/** A rotation and the centroids of rows after it. */
interface Cut {
  readonly rotation: Rotation
  readonly centroids: Centroids
}

/**
 * Turns `start` until codes lose least: the centroids for the rotation, then the rotation for the codes of the rows
 * (orthogonal Procrustes).
 */
export const optimisedRotation = (
  kernels: Matmul,
  residuals: Residuals,
  pq: PqShape,
  { rotation: { matrix: first, components }, centroids: start }: Cut,
  random: Uint32Source,
  progress: (fraction: number) => void
): Cut => {
  const { dimensions, rows } = residuals
  const layout = codeLayout(dimensions, pq, components)
  const rotated = new Float32Array(rows * components)
  const decoded = new Float32Array(rows * components)
  const centroids = start.map((found) => found.slice())
  let matrix = first
  for (let turn = 1; turn <= TURNS; turn++) {
    rotate(kernels, residuals, { matrix, components }, rotated)
    for (const [s, found] of centroids.entries()) {
      const [from, to] = [subspaceStart(layout, s), subspaceStart(layout, s + 1)]
      const points = pointsOf(rotated, components, from, to)
      const members = nearest(kernels, points, found)
      recentre(points, members, found, random)
      decode(members, found, decoded, components, from, to)
    }
    const sum = correlation(
      kernels,
      residuals,
      ({ from, rows }) => decoded.subarray(from * components, (from + rows) * components),
      components
    )
    matrix = procrustes(kernels, sum, matrix, dimensions, components)
    progress(turn / TURNS)
  }
  return { rotation: { matrix: orthonormalise(matrix, dimensions, components, random), components }, centroids }
}
