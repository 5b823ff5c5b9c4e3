/** Vectors that gather around centres, as embeddings of texts do around topics: any number of them from a seed. */
import type { Dataset } from "./data.ts"
import { exactRows } from "./truth.ts"

/** Spread of the vectors of a cluster, relative to the distance of the centres from one another. */
const SPREAD = 0.7
/** Shared directions that a vector differs from its centre in, beside noise of its own. */
const DIRECTIONS = 48
const NOISE = 0.25
const DEPTH = 10

/** Numbers near normal, of variance 1: three uniform ones (mulberry32) added up. */
const bell = (seed: number): (() => number) => {
  let state = seed
  const uniform = () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return () => 2 * (uniform() + uniform() + uniform() - 1.5)
}

/** `rows` vectors around `sqrt(rows)` centres, and queries from the same distribution with their nearest rows. */
export const clusters = (rows: number, dimensions: number, queries: number): Dataset => {
  const random = bell(1)
  const centres = Math.round(Math.sqrt(rows))
  const middles = Float32Array.from({ length: centres * dimensions }, random)
  const directions = Float32Array.from({ length: DIRECTIONS * dimensions }, () => random() / Math.sqrt(DIRECTIONS))
  const draw = (count: number): Float32Array => {
    const vectors = new Float32Array(count * dimensions)
    const along = new Float32Array(DIRECTIONS)
    for (let i = 0; i < count; i++) {
      const middle = Math.floor(Math.abs(random()) * centres * 0.33) % centres
      for (let direction = 0; direction < DIRECTIONS; direction++) along[direction] = random()
      const vector = vectors.subarray(i * dimensions, (i + 1) * dimensions)
      for (let j = 0; j < dimensions; j++) {
        let shared = NOISE * random()
        for (let direction = 0; direction < DIRECTIONS; direction++) {
          shared += along[direction]! * directions[direction * dimensions + j]!
        }
        vector[j] = middles[middle * dimensions + j]! + SPREAD * shared
      }
    }
    return vectors
  }
  const base = draw(rows)
  const vectors = draw(queries)
  const truth = exactRows(base, vectors, dimensions, DEPTH)
  return { dimensions, rows, base, queries: [{ name: "clusters", count: queries, vectors, truth, depth: DEPTH }] }
}
