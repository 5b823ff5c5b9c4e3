/** An embedder behind a cache: a text that comes again is not encoded again. */
import { Cancelled, EmptyEmbedding } from "../errors.ts"
import { forEachSliced, mapSliced } from "../slice.ts"
import { TextFlights } from "../text-flights.ts"
import type { Embedder } from "./embedder.ts"
import { QueryCache, type QueryCacheOptions } from "./query-cache.ts"

export interface CachedEmbedder extends Embedder {
  /** Vectors by text; `clear()` and `stats()` are for callers too. */
  readonly cache: QueryCache<Float32Array>
}

/** Vectors by text, and those that are being encoded. */
export class VectorCache extends QueryCache<Float32Array> {
  readonly flights = new TextFlights<Float32Array>()

  /** Throws `InvalidParameter`. */
  constructor(options?: QueryCacheOptions) {
    super((vector) => vector.byteLength, options)
  }
}

interface Through {
  /** Gives up waiting for what others encode; `embed` has to see to it by itself. */
  readonly signal: AbortSignal | undefined
  readonly keyOf?: (text: string) => string
}

/**
 * Vectors of `texts`, which stay as they are, of which `embed` encodes those that `cache` lacks and nobody is encoding already, each once. The
 * memory is the caller's.
 */
export const embedThrough = async (
  cache: VectorCache,
  texts: ReadonlyArray<string>,
  embed: (texts: ReadonlyArray<string>) => Promise<Float32Array>,
  { signal, keyOf = (text) => text }: Through
): Promise<Float32Array> => {
  const found = new Array<Float32Array | undefined>(texts.length)
  const wanted = new Map<string, string>()
  await forEachSliced(texts.length, undefined, (i) => {
    const key = keyOf(texts[i]!)
    found[i] = cache.get(key)
    if (found[i] === undefined) wanted.set(key, texts[i]!)
  })
  if (wanted.size === 0) return joined(found as ReadonlyArray<Float32Array>)
  const vectors = await cache.flights.all([...wanted.keys()], signal, async (keys) => {
    const own = await mapSliced(keys.length, undefined, (i) => wanted.get(keys[i]!)!)
    const rows = await embed(own).catch((error) => {
      if (!(error instanceof EmptyEmbedding)) throw error
      const { index, text } = error
      throw new EmptyEmbedding({ index: texts.indexOf(own[index] ?? text), text })
    })
    const dimensions = rows.length / own.length
    return mapSliced(keys.length, undefined, (i) => {
      const vector = rows.slice(i * dimensions, (i + 1) * dimensions)
      cache.set(keys[i]!, vector)
      return vector
    })
  })
  await forEachSliced(texts.length, undefined, (i) => {
    found[i] ??= vectors.get(keyOf(texts[i]!))!
  })
  return joined(found as ReadonlyArray<Float32Array>)
}

const joined = async (vectors: ReadonlyArray<Float32Array>): Promise<Float32Array> => {
  const [first] = vectors
  if (first === undefined) return new Float32Array()
  if (vectors.length === 1) return first.slice()
  const out = new Float32Array(vectors.length * first.length)
  await forEachSliced(vectors.length, undefined, (i) => out.set(vectors[i]!, i * first.length))
  return out
}

/**
 * `embedder` with the vectors of the last texts kept, queries and documents apart; callers who want the same text at the
 * same time share its encoding. Collections have such a cache for
 * their queries already: this is for texts that are embedded elsewhere, or for more of them. Throws `InvalidParameter`.
 */
export const cachedEmbedder = (embedder: Embedder, options?: QueryCacheOptions): CachedEmbedder => {
  const cache = new VectorCache(options)
  const { id, dimensions } = embedder
  return {
    id,
    dimensions,
    cache,
    embed: async (texts, embedding = {}) => {
      const { kind = "document", signal } = embedding
      if (signal?.aborted) throw new Cancelled()
      const embed = (missing: ReadonlyArray<string>) => embedder.embed(missing, embedding)
      return embedThrough(cache, texts.slice(), embed, { signal, keyOf: (text) => `${kind} ${text}` })
    }
  }
}
