/** An embedder behind a cache: a text that comes again is not encoded again. */
import { Cancelled, EmptyEmbedding } from "../errors.ts"
import type { Embedder } from "./embedder.ts"
import { QueryCache, type QueryCacheOptions } from "./query-cache.ts"

export interface CachedEmbedder extends Embedder {
  /** Vectors by text; `clear()` and `stats()` are for callers too. */
  readonly cache: QueryCache<Float32Array>
}

/** A cache of vectors; throws `InvalidParameter`. */
export const vectorCache = (options?: QueryCacheOptions): QueryCache<Float32Array> =>
  new QueryCache((vector) => vector.byteLength, options)

/** Vectors of `texts`, of which `embed` encodes those that `cache` lacks, each once. The memory is the caller's. */
export const embedThrough = async (
  cache: QueryCache<Float32Array>,
  texts: ReadonlyArray<string>,
  embed: (texts: ReadonlyArray<string>) => Promise<Float32Array>,
  keyOf: (text: string) => string = (text) => text
): Promise<Float32Array> => {
  const found = texts.map((text) => cache.get(keyOf(text)))
  const missing = texts.filter((_, i) => found[i] === undefined)
  if (missing.length === 0) return joined(found as ReadonlyArray<Float32Array>)
  const wanted = missing.length === 1 ? missing : [...new Set(missing)]
  const vectors = await embed(wanted).catch((error) => {
    if (!(error instanceof EmptyEmbedding)) throw error
    const { index, text } = error
    throw new EmptyEmbedding({ index: texts.indexOf(wanted[index] ?? text), text })
  })
  const dimensions = vectors.length / wanted.length
  for (const [i, text] of wanted.entries()) {
    cache.set(keyOf(text), vectors.slice(i * dimensions, (i + 1) * dimensions))
  }
  if (wanted.length === texts.length) return vectors
  const rows = new Map(wanted.map((text, i) => [text, i * dimensions]))
  const rowOf = (text: string) => vectors.subarray(rows.get(text)!, rows.get(text)! + dimensions)
  return joined(texts.map((text, i) => found[i] ?? rowOf(text)))
}

const joined = (vectors: ReadonlyArray<Float32Array>): Float32Array => {
  const [first] = vectors
  if (first === undefined) return new Float32Array()
  if (vectors.length === 1) return first.slice()
  const out = new Float32Array(vectors.length * first.length)
  for (const [i, vector] of vectors.entries()) out.set(vector, i * first.length)
  return out
}

/**
 * `embedder` with the vectors of the last texts kept, queries and documents apart. Collections have such a cache for
 * their queries already: this is for texts that are embedded elsewhere, or for more of them. Throws `InvalidParameter`.
 */
export const cachedEmbedder = (embedder: Embedder, options?: QueryCacheOptions): CachedEmbedder => {
  const cache = vectorCache(options)
  const { id, dimensions } = embedder
  return {
    id,
    dimensions,
    cache,
    embed: async (texts, embedding = {}) => {
      const { kind = "document", signal } = embedding
      if (signal?.aborted) throw new Cancelled()
      const embed = (missing: ReadonlyArray<string>) => embedder.embed(missing, embedding)
      return embedThrough(cache, texts, embed, (text) => `${kind} ${text}`)
    }
  }
}
