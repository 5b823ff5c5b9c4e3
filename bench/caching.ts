/** Caches that are filled for benches: made-up texts, with vectors that are given. */
import { type CacheOptions, nearestVerifier, type SemanticCache } from "../src/cache.ts"

export const DIMENSIONS = 256
/** Texts are made up: what the learned verifier takes for real ones is told by its own bench. */
export const CACHE: CacheOptions = { dimensions: DIMENSIONS, verifier: nearestVerifier(), maxBytes: 8e9 }
/** Requests that wait for one another's writes while a cache is filled. */
const AT_ONCE = 64
/** One in so many vectors is remembered. */
const KNOWN_EVERY = 101

export const asked = (scope: number, prompt: string) => ({ model: `model ${scope}`, prompt })

export const randomVector = (): Float32Array => Float32Array.from({ length: DIMENSIONS }, () => Math.random() - 0.5)

/** Fills a cache, and returns the vectors of some of its entries by their numbers. */
export const fill = async (
  cache: SemanticCache,
  entries: number,
  scopes: number,
  draw: () => Float32Array = randomVector
): Promise<Map<number, Float32Array>> => {
  const known = new Map<number, Float32Array>()
  for (let from = 0; from < entries; from += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, entries - from) }, (_, i) => {
      const vector = draw()
      if ((from + i) % KNOWN_EVERY === 0) known.set(from + i, vector)
      const request = asked((from + i) % scopes, `question ${from + i}`)
      return cache.set(request, `answer ${from + i}`, { vector })
    })
    await Promise.all(batch)
  }
  return known
}
