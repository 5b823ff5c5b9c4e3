/**
 * Centroids that follow data which drifts: a list that became too long is split, one that became nearly empty goes, and
 * all others stay as they are (LIRE: Xu et al., "SPFresh: incremental in-place update for billion-scale vector search",
 * 2023, section 3).
 */
import type { Kernels, SegmentLayout } from "../kernels/contract.ts"
import { codeComponents } from "../kernels/pq.ts"
import { transpose } from "./centred.ts"
import { type Centroids, rankedCentroids } from "./ivf.ts"
import { drawCentroids, lloyd, type Points } from "./kmeans.ts"
import { pcg64 } from "./pcg64.ts"

/** Rounds of k-means within a list that is split. */
const ROUNDS = 8
/** Lists around one that goes, whose rows may now be nearer to a new list, and which its rows may be nearest to. */
export const NEIGHBOURS = 32

/** A list that is to be split. */
interface Split {
  readonly list: number
  /** A sample of its rows. */
  readonly points: Points
  readonly parts: number
}

/** Centroids after splits and merges. */
export interface Regrouped {
  /** Lists there are then. */
  readonly count: number
  /** Those that are kept, in order, then those that are new. */
  readonly centroids: Centroids
  /** For each that is kept, its number before. */
  readonly kept: Uint32Array
  /** Those that were split and those that were dropped, by their numbers before. */
  readonly split: ReadonlyArray<number>
  readonly dropped: ReadonlyArray<number>
  /** Lists near those that go, by their new numbers, and all new ones: where rows may go. `local` are their centroids. */
  readonly near: Uint32Array
  readonly local: Centroids
  /** Those of the kept ones, by their new numbers, whose rows may be nearer to a list that is new. */
  readonly checked: Uint32Array
}

/** Splits some lists and drops others. */
export const regroupCentroids = (
  kernels: Pick<Kernels, "matmul">,
  layout: SegmentLayout,
  encoder: Float32Array,
  { columns, halfNorms }: Centroids,
  splits: ReadonlyArray<Split>,
  dropped: ReadonlyArray<number>,
  seed: number
): Regrouped => {
  const lists = halfNorms.length
  const components = codeComponents(layout)
  const before = transpose(columns, components, lists, new Float32Array(columns.length))
  const rowOf = (list: number) => before.subarray(list * components, (list + 1) * components)
  const split = splits.map(({ list }) => list)
  const gone = new Set([...split, ...dropped])
  const kept = Uint32Array.from({ length: lists }, (_, list) => list).filter((list) => !gone.has(list))
  const random = pcg64(seed)
  const parts = splits.map(({ points, parts }) => {
    const centroids = drawCentroids(points, parts, random)
    lloyd(kernels, points, centroids, ROUNDS, random)
    return centroids
  })
  const after = joined([...Array.from(kept, rowOf), ...parts])
  const nearest = (list: number) => nearestTo(kernels, rowOf(list), { columns, halfNorms }, kept)
  const checked = Uint32Array.from(new Set(split.flatMap(nearest))).sort()
  const around = new Set([...checked, ...dropped.flatMap(nearest)])
  const made = Array.from({ length: after.length / components - kept.length }, (_, i) => kept.length + i)
  const near = Uint32Array.from([...around, ...made]).sort()
  const local = joined(Array.from(near, (list) => after.subarray(list * components, (list + 1) * components)))
  const ranked = (centroids: Float32Array) => rankedCentroids(kernels, layout, encoder, centroids)
  return {
    count: after.length / components,
    centroids: ranked(after),
    kept,
    split,
    dropped,
    near,
    local: ranked(local),
    checked
  }
}

/** Positions in `kept` of the lists whose centroids are nearest to a point. */
const nearestTo = (
  kernels: Pick<Kernels, "matmul">,
  point: Float32Array,
  { columns, halfNorms }: Pick<Centroids, "columns" | "halfNorms">,
  kept: Uint32Array
): ReadonlyArray<number> => {
  const products = new Float32Array(halfNorms.length)
  kernels.matmul(point, columns, products, 1, point.length, products.length)
  const distanceOf = (at: number) => halfNorms[kept[at]!]! - products[kept[at]!]!
  const order = Array.from(kept.keys()).sort((a, b) => distanceOf(a) - distanceOf(b))
  return order.slice(0, NEIGHBOURS)
}

const joined = (parts: ReadonlyArray<Float32Array>): Float32Array => {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
