/** Retrievals of late, found again by all that they depend on while the pool is what it was. */
import { QueryCache, type QueryCacheOptions } from "../../embed/query-cache.ts"
import type { PoolItems } from "../items.ts"
import type { Recalled } from "./recalled.ts"

/** What was found, and the rows to be marked as used when it is returned again. */
interface Remembered {
  readonly found: ReadonlyArray<Recalled>
  readonly rows: ReadonlyArray<number>
}

/** Retrievals for one embedding by the text of their options, of one generation of the pool. */
interface OfEmbedding {
  readonly generation: number
  readonly byOptions: Map<string, Remembered>
}

export interface RecallCacheStats {
  /** Embeddings that something is remembered for. */
  readonly entries: number
  readonly bytes: number
  readonly hits: number
  readonly misses: number
  /** Misses because the pool has changed since. */
  readonly invalidated: number
  readonly evictions: number
}

/** Kinds of retrieval that are remembered of one embedding. */
const MAX_OPTIONS = 16
/** What an item takes in memory as an object beside its record, roughly. */
const ITEM_BYTES = 512

export class QueryMemory {
  readonly #items: PoolItems
  readonly #cache: QueryCache<OfEmbedding> | undefined
  #hits = 0
  #misses = 0
  #invalidated = 0

  constructor(items: PoolItems, options: QueryCacheOptions | false) {
    this.#items = items
    this.#cache = options === false ? undefined : new QueryCache((kept: OfEmbedding) => this.#bytesOf(kept), options)
  }

  /** What was found for an embedding within .001 of this one with these options, since the pool last changed. */
  get(embedding: ArrayLike<number>, options: string, generation: number): ReadonlyArray<Recalled> | undefined {
    if (this.#cache === undefined) return undefined
    const kept = this.#cache.get(embedding)
    const remembered = kept?.byOptions.get(options)
    if (remembered !== undefined && kept?.generation === generation) {
      this.#hits++
      this.#items.used(remembered.rows)
      return remembered.found
    }
    this.#misses++
    if (remembered !== undefined) this.#invalidated++
    return undefined
  }

  set(embedding: ArrayLike<number>, options: string, generation: number, remembered: Remembered): void {
    if (this.#cache === undefined) return
    const kept = this.#cache.get(embedding)
    const isOfNow = kept?.generation === generation && kept.byOptions.size < MAX_OPTIONS
    const byOptions = isOfNow ? kept.byOptions : new Map<string, Remembered>()
    byOptions.set(options, remembered)
    this.#cache.set(embedding, { generation, byOptions })
  }

  clear(): void {
    this.#cache?.clear()
    this.#hits = 0
    this.#misses = 0
    this.#invalidated = 0
  }

  stats(): RecallCacheStats | undefined {
    if (this.#cache === undefined) return undefined
    const { entries, bytes, evictions } = this.#cache.stats()
    return { entries, bytes, evictions, hits: this.#hits, misses: this.#misses, invalidated: this.#invalidated }
  }

  #bytesOf({ byOptions }: OfEmbedding): number {
    let bytes = 0
    for (const [options, { rows }] of byOptions) {
      bytes += 2 * options.length
      for (const row of rows) bytes += ITEM_BYTES + 2 * this.#items.recordBytesOf(row)
    }
    return bytes
  }
}
