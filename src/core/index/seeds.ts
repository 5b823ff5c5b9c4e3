/**
 * First centroids far from one another: k-means++ (Arthur and Vassilvitskii, SODA 2007). f64 loops of + - * / in a
 * fixed order: the same points and source give the same seeds on every machine.
 */
import type { Points } from "./kmeans.ts"
import type { Uint32Source } from "./pcg64.ts"

/** Points a seed, and the least of all, that seeds are drawn from: more were measured to change nothing. */
const POINTS_A_SEED = 8
const LEAST_POINTS = 1024

/**
 * Points as centroids, `clusters x dimensions` row-major, each drawn with a probability in proportion to its squared
 * distance from those before it. Where every point is one of them, some come twice.
 */
export const spreadSeeds = (
  { vectors, count, dimensions }: Points,
  clusters: number,
  random: Uint32Source
): Float32Array => {
  const drawn = Math.min(count, Math.max(POINTS_A_SEED * clusters, LEAST_POINTS))
  const at = (i: number) => Math.floor((i * count) / drawn) * dimensions
  const centroids = new Float32Array(clusters * dimensions)
  const distances = new Float64Array(drawn).fill(1)
  let total = drawn
  for (let cluster = 0; cluster < clusters; cluster++) {
    const chosen = at(total > 0 ? drawFrom(distances, (total * random()) / 2 ** 32) : random() % drawn)
    centroids.set(vectors.subarray(chosen, chosen + dimensions), cluster * dimensions)
    total = 0
    for (let i = 0; i < drawn; i++) {
      const distance = squaredDistance(vectors, at(i), chosen, dimensions)
      if (cluster === 0 || distance < distances[i]!) distances[i] = distance
      total += distances[i]!
    }
  }
  return centroids
}

/** The first index at which the running sum of `weights` exceeds `target`, of those whose weight is not zero. */
const drawFrom = (weights: Float64Array, target: number): number => {
  let sum = 0
  let last = 0
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue
    sum += weights[i]!
    last = i
    if (sum > target) break
  }
  return last
}

const squaredDistance = (vectors: Float32Array, from: number, to: number, dimensions: number): number => {
  let sum = 0
  for (let i = 0; i < dimensions; i++) {
    const difference = vectors[from + i]! - vectors[to + i]!
    sum += difference * difference
  }
  return sum
}
