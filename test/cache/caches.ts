/** Caches to test with: a clock that is set, and texts whose nearness is known. */
import assert from "node:assert/strict"
import {
  type CacheOptions,
  type CacheRequest,
  nearestVerifier,
  type SemanticCache,
  semanticCache
} from "../../src/cache.ts"
import { type Asked, askedOf } from "../../src/core/cache/request.ts"
import { type Embedder, EmptyEmbedding, open } from "../../src/index.ts"

/**
 * Embeds `"name 12"` as a direction 12 degrees from that of `"name 0"`; texts of other names are at right angles to it.
 * A text that is no such pair is refused, as one without a known word is.
 */
export const degrees = (names: ReadonlyArray<string> = ["cat", "dog", "sun"]): Embedder => ({
  id: `degrees of ${names.join(", ")}`,
  dimensions: 2 * names.length,
  embed: async (texts) => {
    const vectors = new Float32Array(texts.length * 2 * names.length)
    for (const [i, text] of texts.entries()) {
      const [name = "", angle] = text.split(" ")
      const at = names.indexOf(name)
      if (at < 0) throw new EmptyEmbedding({ index: i, text })
      const radians = (Number(angle) * Math.PI) / 180
      vectors[2 * (i * names.length + at)] = Math.cos(radians)
      vectors[2 * (i * names.length + at) + 1] = Math.sin(radians)
    }
    return vectors
  }
})

export interface Timed {
  readonly cache: SemanticCache
  /** Moves the clock of the cache on. */
  readonly pass: (ms: number) => void
}

/** Calls `use` with a cache in memory whose clock stands still unless it is moved. */
export const withCache = async (options: CacheOptions, use: (timed: Timed) => Promise<void>): Promise<void> => {
  let now = 1_000_000
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, {
    embedder: degrees(),
    precision: "f32",
    // The learned one would refuse numbers that differ.
    verifier: nearestVerifier(),
    clock: () => now,
    ...options
  })
  await use({
    cache,
    pass: (ms) => {
      now += ms
    }
  })
}

/** A usual request taken apart: at once. */
export const askedAtOnce = (request: CacheRequest, tenant?: string): Asked => {
  const asked = askedOf(request, tenant)
  assert.ok(!(asked instanceof Promise), "it takes no turns")
  return asked
}

export const ask = (prompt: string) => ({ model: "m", prompt })

/** What a caller can be waited for with. */
export const gate = () => Promise.withResolvers<void>()

/** Settles in the first turn in which it holds. */
export const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise(setImmediate)
}

/** All chunks of a stream. */
export const drained = async (stream: AsyncIterable<unknown>): Promise<ReadonlyArray<unknown>> => {
  const chunks: Array<unknown> = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}
