/**
 * Clustering by k-means (Lloyd 1982), with the products of the kernels' fixed order: the same points and seed give the
 * same centroids on every machine.
 */
import type { Kernels } from "../kernels/contract.ts"
import { transpose } from "./centred.ts"
import type { Uint32Source } from "./pcg64.ts"

/** Points whose products with all centroids are held at once. */
const CHUNK = 512

export interface Points {
  /** Row-major, `count x dimensions`. */
  readonly vectors: Float32Array
  readonly count: number
  readonly dimensions: number
}

/** `|c|^2 / 2` of each centroid, `count x dimensions` row-major. */
export const halfNormsOf = (centroids: Float32Array, dimensions: number): Float32Array =>
  Float32Array.from({ length: centroids.length / dimensions }, (_, c) => {
    let sum = 0
    for (let i = c * dimensions; i < (c + 1) * dimensions; i++) sum += centroids[i]! * centroids[i]!
    return sum / 2
  })

/** The nearest centroid of each point, the first of equals. */
export const nearest = (
  kernels: Pick<Kernels, "matmul">,
  { vectors, count, dimensions }: Points,
  centroids: Float32Array
): Uint32Array => {
  const clusters = centroids.length / dimensions
  const columns = transpose(centroids, clusters, dimensions, new Float32Array(centroids.length))
  const halfNorms = halfNormsOf(centroids, dimensions)
  const products = new Float32Array(CHUNK * clusters)
  const found = new Uint32Array(count)
  for (let from = 0; from < count; from += CHUNK) {
    const rows = Math.min(CHUNK, count - from)
    const chunk = vectors.subarray(from * dimensions, (from + rows) * dimensions)
    kernels.matmul(chunk, columns, products.subarray(0, rows * clusters), rows, dimensions, clusters)
    for (let row = 0, at = 0; row < rows; row++) {
      let best = 0
      let most = Number.NEGATIVE_INFINITY
      for (let cluster = 0; cluster < clusters; cluster++, at++) {
        const score = products[at]! - halfNorms[cluster]!
        if (score > most) {
          most = score
          best = cluster
        }
      }
      found[from + row] = best
    }
  }
  return found
}

/** A whole number in `[0, end)`. */
const below = (random: Uint32Source, end: number): number => Math.floor((random() / 2 ** 32) * end)

/** Moves each centroid to the mean of its points; one without points goes to a point drawn from all. */
export const recentre = (points: Points, members: Uint32Array, centroids: Float32Array, random: Uint32Source): void => {
  const { vectors, count, dimensions } = points
  const sums = new Float64Array(centroids.length)
  const sizes = new Uint32Array(centroids.length / dimensions)
  for (let row = 0; row < count; row++) {
    const cluster = members[row]!
    sizes[cluster]!++
    for (let i = 0, at = cluster * dimensions; i < dimensions; i++, at++) {
      sums[at] = sums[at]! + vectors[row * dimensions + i]!
    }
  }
  for (let cluster = 0; cluster < sizes.length; cluster++) {
    const at = cluster * dimensions
    const size = sizes[cluster]!
    if (size === 0) {
      const row = below(random, count)
      centroids.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), at)
    } else for (let i = at; i < at + dimensions; i++) centroids[i] = sums[i]! / size
  }
}

/** Improves `centroids` in place by so many rounds of assignment and recentring. */
export const lloyd = (
  kernels: Pick<Kernels, "matmul">,
  points: Points,
  centroids: Float32Array,
  rounds: number,
  random: Uint32Source
): void => {
  for (let round = 0; round < rounds; round++) recentre(points, nearest(kernels, points, centroids), centroids, random)
}

/** Different points as first centroids, `clusters x dimensions`; all of them, some twice, when there are fewer. */
export const drawCentroids = (
  { vectors, count, dimensions }: Points,
  clusters: number,
  random: Uint32Source
): Float32Array => {
  const order = Uint32Array.from({ length: count }, (_, row) => row)
  const centroids = new Float32Array(clusters * dimensions)
  for (let cluster = 0; cluster < clusters; cluster++) {
    const drawn = cluster % count
    // Fisher and Yates's shuffle, as far as it is needed.
    const swap = drawn + below(random, count - drawn)
    const row = order[swap]!
    order[swap] = order[drawn]!
    order[drawn] = row
    centroids.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), cluster * dimensions)
  }
  return centroids
}
