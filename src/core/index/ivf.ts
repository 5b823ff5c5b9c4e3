/**
 * Centroids of inverted lists, trained in the coordinates of the codes: a row counts as its code has it, so training
 * needs no vectors, and with signs costs the same at every dimension.
 */

import { LENGTH_WEIGHT } from "../kernels/adc.ts"
import { codeColumns } from "../kernels/columns.ts"
import type { Kernels, SegmentLayout } from "../kernels/contract.ts"
import { decodeCode } from "../kernels/lists.ts"
import { codeComponents, rotatedVector } from "../kernels/pq.ts"
import { METRIC } from "../kernels/shape.ts"
import { CODE_BITS, SLOTS } from "../store/layout.ts"
import { transpose } from "./centred.ts"
import { drawCentroids, halfNormsOf, lloyd, nearest, type Points } from "./kmeans.ts"
import { pcg64, type Uint32Source } from "./pcg64.ts"

/** Rows of the sample a list. */
export const SAMPLE_PER_LIST = 64
/** Rounds of k-means at each of the two levels. */
const LEVEL_ROUNDS = 6
/** Rounds over all lists at once afterwards: they mend the borders between the groups of the first level. */
const WHOLE_ROUNDS = 2

/** Lists for a store of so many rows: a power of two near `sqrt(rows)`, at least 16. */
export const listsFor = (rows: number): number => Math.max(16, 2 ** Math.round(Math.log2(0.8 * Math.sqrt(rows))))

/** Rows as their codes have them, `rows.length x components`. */
export const decodedRows = (
  layout: SegmentLayout,
  encoder: Float32Array,
  codes: ReadonlyArray<Uint8Array>,
  rows: Uint32Array
): Points => {
  const dimensions = codeComponents(layout)
  const vectors = new Float32Array(rows.length * dimensions)
  const columns = codes.map((buffer) => codeColumns(layout, buffer))
  for (let i = 0; i < rows.length; i++) {
    decodeCode(layout, columns[Math.floor(rows[i]! / SLOTS)]!, encoder, rows[i]! % SLOTS, vectors, i * dimensions)
  }
  return { vectors, count: rows.length, dimensions }
}

const ignore = () => undefined

/**
 * Trains `lists` centroids (row-major, of the components of `points`) on `points`: some `sqrt(lists)` groups first, then each group by
 * itself, then all at once.
 */
export const trainCentroids = (
  kernels: Pick<Kernels, "matmul">,
  points: Points,
  lists: number,
  seed: number,
  progress: (fraction: number) => void = ignore
): Float32Array => {
  const random = pcg64(seed)
  const groups = Math.min(lists, Math.round(Math.sqrt(lists)))
  const coarse = drawCentroids(points, groups, random)
  lloyd(kernels, points, coarse, LEVEL_ROUNDS, random)
  const members = membersOf(nearest(kernels, points, coarse), groups)
  progress(0.2)
  const centroids = new Float32Array(lists * points.dimensions)
  let made = 0
  for (const [group, rows] of members.entries()) {
    const wanted = share(members, group, lists)
    const part = trainGroup(kernels, subset(points, rows), wanted, random)
    centroids.set(part, made * points.dimensions)
    made += wanted
    progress(0.2 + (0.4 * made) / lists)
  }
  lloyd(kernels, points, centroids, WHOLE_ROUNDS, random)
  progress(1)
  return centroids
}

const trainGroup = (
  kernels: Pick<Kernels, "matmul">,
  points: Points,
  lists: number,
  random: Uint32Source
): Float32Array => {
  if (lists === 0) return new Float32Array()
  const centroids = drawCentroids(points, lists, random)
  lloyd(kernels, points, centroids, LEVEL_ROUNDS, random)
  return centroids
}

/** The points of each group, in order. */
const membersOf = (groupOf: Uint32Array, groups: number): ReadonlyArray<ReadonlyArray<number>> => {
  const members: Array<Array<number>> = Array.from({ length: groups }, () => [])
  for (let point = 0; point < groupOf.length; point++) members[groupOf[point]!]!.push(point)
  return members
}

/** Lists of a group: in proportion to its points, so that the shares of all groups add up to `lists`. */
const share = (members: ReadonlyArray<ReadonlyArray<number>>, group: number, lists: number): number => {
  const before = members.slice(0, group).reduce((sum, rows) => sum + rows.length, 0)
  const all = members.reduce((sum, rows) => sum + rows.length, 0)
  const upTo = (points: number) => Math.round((points * lists) / all)
  return upTo(before + members[group]!.length) - upTo(before)
}

const subset = ({ vectors, dimensions }: Points, rows: ReadonlyArray<number>): Points => {
  const part = new Float32Array(rows.length * dimensions)
  for (const [i, row] of rows.entries()) {
    part.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), i * dimensions)
  }
  return { vectors: part, count: rows.length, dimensions }
}

/** Centroids with what assigning and ranking add to their products. */
export interface Centroids {
  /** `components x lists`: a centroid a column. */
  readonly columns: Float32Array
  /** `|c|^2 / 2`. */
  readonly halfNorms: Float32Array
  readonly biases: Float32Array
}

/**
 * Centroids (`lists x components`) as searches use them. Lists are ranked by their distance from the query, which for
 * cosine and l2 ranks by `<c, q - m> - |c|^2 / 2`; for dot, where length counts, by the product alone. What a query is
 * taken less of the mean when it is put in the coordinates of the codes, the bias takes off of what remains of it.
 */
export const rankedCentroids = (
  kernels: Pick<Kernels, "matmul">,
  layout: SegmentLayout,
  encoder: Float32Array,
  centroids: Float32Array
): Centroids => {
  const components = codeComponents(layout)
  const lists = centroids.length / components
  const columns = transpose(centroids, lists, components, new Float32Array(centroids.length))
  const halfNorms = halfNormsOf(centroids, components)
  const biases = new Float32Array(lists)
  if (layout.metric === METRIC.dot) return { columns, halfNorms, biases }
  const ofMean = new Float32Array(lists)
  if (layout.metric === METRIC.cosine) {
    kernels.matmul(meanLeft(kernels, layout, encoder), columns, ofMean, 1, components, lists)
  }
  for (let list = 0; list < lists; list++) biases[list] = -halfNorms[list]! - ofMean[list]!
  return { columns, halfNorms, biases }
}

/** What a query for cosine still has of the mean, in the coordinates of the codes. */
const meanLeft = (kernels: Pick<Kernels, "matmul">, layout: SegmentLayout, encoder: Float32Array): Float32Array => {
  const { dimensions, factorScale } = layout
  const mean = encoder.subarray(0, dimensions)
  if (layout.subspaces > 0) {
    const left = (1 - LENGTH_WEIGHT[METRIC.cosine]) / factorScale
    return rotatedVector(
      layout,
      mean.map((x) => x * left),
      encoder,
      kernels.matmul
    )
  }
  const projected = new Float32Array(CODE_BITS)
  kernels.matmul(mean, encoder.subarray(dimensions), projected, 1, dimensions, CODE_BITS)
  return projected
}
