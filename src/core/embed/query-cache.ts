/** What was made of the queries of late, bounded by entries and by bytes. */
import { LRUCache } from "lru-cache"
import { finite, object, wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import { VectorKeys } from "./vector-keys.ts"

export interface QueryCacheOptions {
  /** Entries, 1 to 1,000,000, 128 by default: the least recently used one gives way. */
  readonly maxEntries?: number | undefined
  /** Bytes of keys and values, 8 MiB by default; what is larger by itself is not kept. */
  readonly maxBytes?: number | undefined
}

export interface VectorQueryCacheOptions extends QueryCacheOptions {
  /**
   * How much each component of two vectors may differ, 0 to 1, for them to be one query; 0.001 by default. Of 384
   * components and length 1 they then have a cosine of .9998 or more.
   */
  readonly tolerance?: number | undefined
}

export interface QueryCacheStats {
  readonly entries: number
  /** Of keys, values and what surrounds them. */
  readonly bytes: number
  readonly hits: number
  readonly misses: number
  /** Entries that gave way to others. */
  readonly evictions: number
}

/** What an entry takes beside its key and value, roughly. */
const ENTRY_BYTES = 128
const MAX_ENTRIES = 1_000_000

/** Read within the call, so f32 need not be copied: to copy a vector takes longer than to compare it. */
const asF32 = (vector: ArrayLike<number>): Float32Array =>
  vector instanceof Float32Array ? vector : new Float32Array(vector)

/** Bounds and a tolerance with every default; throws `InvalidParameter`. */
export const checkedQueryCache = (options: VectorQueryCacheOptions) => {
  const { maxEntries = 128, maxBytes = 1 << 23, tolerance = 0.001 } = object("options", options)
  if (!(finite("tolerance", tolerance) >= 0 && tolerance <= 1)) {
    throw new InvalidParameter({ parameter: "tolerance", reason: `wanted a number from 0 to 1, got ${tolerance}` })
  }
  return {
    maxEntries: wholeNumber("maxEntries", maxEntries, 1, MAX_ENTRIES),
    maxBytes: wholeNumber("maxBytes", maxBytes, 1, Number.MAX_SAFE_INTEGER),
    tolerance
  }
}

/** Values of type `V` by the exact text of a query, or by its vector to within a tolerance. */
export class QueryCache<V extends object> {
  readonly #lru: LRUCache<string | Float32Array, V>
  readonly #vectors: VectorKeys
  #hits = 0
  #misses = 0
  #evictions = 0

  /** `bytesOf` a value counts towards `maxBytes`. Throws `InvalidParameter`. */
  constructor(bytesOf: (value: V) => number, options: VectorQueryCacheOptions = {}) {
    const { maxEntries, maxBytes, tolerance } = checkedQueryCache(options)
    this.#vectors = new VectorKeys(tolerance)
    this.#lru = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: (value, key) =>
        ENTRY_BYTES + Math.ceil(bytesOf(value)) + (typeof key === "string" ? 2 * key.length : key.byteLength),
      onInsert: (_, key, reason) => {
        if (reason === "add" && typeof key !== "string") this.#vectors.add(key)
      },
      dispose: (_, key, reason) => {
        if (reason === "evict") this.#evictions++
        if (reason !== "set" && typeof key !== "string") this.#vectors.delete(key)
      }
    })
  }

  /** What was set for this text, or for a vector within the tolerance of this one. */
  get(query: string | ArrayLike<number>): V | undefined {
    const key = typeof query === "string" ? query : this.#vectors.find(asF32(query))
    const value = key === undefined ? undefined : this.#lru.get(key)
    if (value === undefined) this.#misses++
    else this.#hits++
    return value
  }

  /** Remembers `value`, in place of what was there. A vector is copied. */
  set(query: string | ArrayLike<number>, value: V): void {
    if (typeof query === "string") {
      this.#lru.set(query, value)
      return
    }
    const vector = new Float32Array(query)
    const key = this.#vectors.find(vector) ?? vector
    this.#lru.set(key, value)
    // A value that is too large takes the one before it away, which looks like a change of it.
    if (!this.#lru.has(key)) this.#vectors.delete(key)
  }

  /** Forgets everything but the counters. */
  clear(): void {
    this.#lru.clear()
  }

  stats(): QueryCacheStats {
    return {
      entries: this.#lru.size,
      bytes: this.#lru.calculatedSize,
      hits: this.#hits,
      misses: this.#misses,
      evictions: this.#evictions
    }
  }
}
