/** Vectors in clusters, as embeddings of text are, and how much of them a search finds. */
import type { Collection, SearchOptions } from "../src/index.ts"
import { randomVectors } from "./property/kernels/random.ts"

const CENTRES = 60

/** `count` vectors, row-major, around centres that are the same for every seed; a longer run starts as a shorter one. */
export const clustered = (seed: number, count: number, dimensions: number): Float32Array => {
  const centres = randomVectors(0x5eed, CENTRES * dimensions)
  const noise = randomVectors(seed, count * dimensions)
  return noise.map((x, i) => {
    const centre = (Math.floor(i / dimensions) * 7) % CENTRES
    return centres[centre * dimensions + (i % dimensions)]! + 0.7 * x
  })
}

export const keysOf = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from }, (_, i) => `k${from + i}`)

/** Share of the ten nearest, by exact search, that a search with `options` finds among its ten. */
export const recallOf = async (
  collection: Pick<Collection, "searchMany">,
  queries: Float32Array,
  options: SearchOptions
): Promise<number> => {
  const exact = await collection.searchMany(queries, { mode: "exact" })
  const found = await collection.searchMany(queries, options)
  const k = exact.keys.length / exact.counts.length
  let wanted = 0
  let met = 0
  for (const [query, count] of exact.counts.entries()) {
    const keys = new Set(found.keys.slice(query * k, query * k + found.counts[query]!))
    wanted += count
    for (let i = query * k; i < query * k + count; i++) if (keys.has(exact.keys[i]!)) met++
  }
  return met / wanted
}
