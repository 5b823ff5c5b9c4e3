/** A pool that is open: its items, what finds them, and what decides who stays. */
import type { Collection } from "../collection/collection.ts"
import { checkedKey } from "../collection/entries.ts"
import { settled } from "../collection/settled.ts"
import { EmptyCollection } from "../errors.ts"
import { NO_NAMESPACE } from "../store/rows.ts"
import { Bias, type BiasProfile, type Outcome, ownOutcomes } from "./bias.ts"
import { Budget, type MemoryBudgetStats } from "./budget.ts"
import type { Surroundings } from "./coherence/coherence.ts"
import { inGroups } from "./in-groups.ts"
import { checkIndexes, INDEXED, type IndexCheck } from "./index-check.ts"
import { PoolItems } from "./items.ts"
import { Keeping, type RecallInput, type Verdict } from "./keeping.ts"
import type { RecallSettings } from "./options.ts"
import type { RecallItem } from "./pool-rows.ts"
import { QueryMemory } from "./retrieval/query-memory.ts"
import { Retrieving } from "./retrieval/retrieving.ts"
import { type Serial, serialOf } from "./serial.ts"
import type { RecallStats } from "./stats.ts"
import { StoreIndex } from "./store-index.ts"
import type { OwnTensor } from "./tensor.ts"

/** An item with what it takes to find it. */
export interface StoredItem extends RecallItem {
  /** As it is stored, at length 1. */
  readonly embedding: Float32Array
  /** When a retrieval returned it last, or it was added, milliseconds. */
  readonly used: number
  readonly tensor?: OwnTensor
}

export class RecallPool {
  readonly #settings: RecallSettings
  readonly #items: PoolItems
  readonly #index: StoreIndex
  readonly #budget: Budget
  readonly #memory: QueryMemory
  readonly #keeping: Keeping
  readonly #bias: Bias
  readonly #writers: Serial
  /** Changes that are none of an item: of the bias, and of an index that was wrong. */
  #otherChanges = 0
  #left: (() => void) | undefined
  readonly retrieving: Retrieving

  constructor(collection: Collection, settings: RecallSettings) {
    const items = new PoolItems(collection, settings.clock)
    const index = new StoreIndex(collection)
    const bias = new Bias(settings.biasStrength)
    const biasOf = (label: string | undefined) => bias.of(label)
    const evictable = {
      get size() {
        return items.size
      },
      get bytes() {
        return items.tally.bytes
      },
      rows: () => items.rows(),
      walk: (visit: (row: number) => void) => items.walk(visit),
      spread: (count: number, from?: number) => items.spread(count, from),
      has: (row: number) => items.has(row),
      moved: () => items.store.directory.moved,
      cameAt: (row: number) => items.cameAt(row),
      usedAt: (row: number) => items.usedAt(row),
      usefulness: (row: number) => bias.usefulness(items.number(row, "utility"), items.classOf(row)),
      bytesOf: (row: number) => items.bytesOf(row),
      vectorsOf: (rows: ReadonlyArray<number>) => items.vectorsOf(rows),
      keyOf: (row: number) => items.keyOf(row),
      index
    }
    const writers = serialOf(items.store)
    const budget = new Budget(evictable, settings, writers)
    const memory = new QueryMemory(items, settings.queryCache)
    const generation = () => this.#generation()
    this.#settings = settings
    this.#items = items
    this.#writers = writers
    this.#index = index
    this.#bias = bias
    this.#budget = budget
    this.#memory = memory
    this.#keeping = new Keeping({
      items,
      settings,
      budget,
      biasOf,
      surroundings: () => this.#surroundings(),
      writers
    })
    this.retrieving = new Retrieving({ items, index, settings, memory, generation, biasOf })
  }

  /**
   * Counts what is there: before this, nothing may be asked of the pool. Throws `CollectionMismatch` for an encoder that
   * is not the one that what is there was encoded by.
   */
  async open(): Promise<void> {
    try {
      await this.#items.open()
      const { encoder } = this.#settings
      if (encoder !== undefined) this.#items.checkEncoder(encoder)
    } catch (error) {
      this.#items.close()
      throw error
    }
    this.#left = this.#items.beforeEnd(() => this.#keepUses())
  }

  /** Leaves the items to the collection. */
  async close(): Promise<void> {
    this.#left?.()
    this.#items.close()
    await this.#keepUses()
  }

  add(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<string>> {
    return this.#keeping.add(inputs, signal)
  }

  addIfCoherent(inputs: ReadonlyArray<RecallInput>, signal: AbortSignal): Promise<ReadonlyArray<Verdict>> {
    return this.#keeping.addIfCoherent(inputs, signal)
  }

  get(key: string): StoredItem | undefined {
    const items = this.#items
    checkedKey(key, NO_NAMESPACE)
    items.checkCurrent()
    const row = items.find(key)
    if (row < 0) return undefined
    const tensor = items.tensorOf(row)
    const [embedding, used] = [items.vectorsOf([row]), items.usedAt(row)]
    return { ...items.read(row), embedding, used, ...(tensor && { tensor }) }
  }

  remove(key: string): Promise<boolean> {
    return this.#keeping.remove(key)
  }

  /** Removes every item, the indexes over them, what is remembered of retrievals, what feedback said, and every counter. */
  clear(): Promise<void> {
    return this.#writers.run(async () => {
      const items = this.#items
      try {
        const keys: Array<string> = []
        await items.walk((row) => {
          keys.push(items.keyOf(row))
        })
        await inGroups(keys, (key) => items.remove(key))
        for (const index of INDEXED) await this.#index.drop(index)
        this.#bias.clear()
        this.#keeping.clear()
      } finally {
        this.#changed()
        this.#memory.clear()
      }
    })
  }

  /** What came of items: each changes the utility of its item and the bias of its class. */
  feedback(outcomes: ReadonlyArray<Outcome>): Promise<void> {
    const own = ownOutcomes(outcomes)
    return this.#writers.run(async () => {
      try {
        await this.#bias.learn(this.#items, own)
      } finally {
        this.#changed()
      }
    })
  }

  biasProfile(): BiasProfile {
    return this.#bias.profile()
  }

  useBias(profile: BiasProfile): void {
    this.#bias.use(profile)
    this.#changed()
  }

  /** Makes the index that the pool asks for, of the items of this moment. */
  async buildIndex(signal: AbortSignal): Promise<void> {
    if (this.#items.size === 0) throw new EmptyCollection({ collection: this.#settings.name })
    await settled(this.#items.collection.buildIndex({ signal }))
  }

  /** Asks each index for a sample of its own items; one that does not find them is made anew. */
  checkIndex(signal: AbortSignal): Promise<ReadonlyArray<IndexCheck>> {
    return this.#writers.run(async () => {
      const checks = await checkIndexes(this.#items, this.#index, signal)
      // What a damaged index found is remembered no longer.
      if (checks.some(({ fault }) => fault !== undefined)) this.#changed()
      return checks
    })
  }

  memoryBudgetStats(): MemoryBudgetStats {
    return this.#budget.stats()
  }

  stats(): RecallStats {
    const { accepted, rejected, evicted } = this.#keeping
    return {
      items: this.#items.size,
      classes: Object.fromEntries(this.#items.tally.classes),
      generation: this.#generation(),
      accepted,
      rejected,
      evicted,
      memory: this.#budget.stats(),
      queryCache: this.#memory.stats(),
      index: this.#settings.index,
      isBuilt: this.#index.isBuilt(this.#settings.index),
      collection: this.#items.collection.stats()
    }
  }

  /** Moves with every change that a retrieval could see, whoever made it. */
  #generation(): number {
    return (this.#items.store.directory.changes >>> 0) + this.#otherChanges
  }

  /** Only who is used least recently goes by uses, or a policy of the caller's own. */
  async #keepUses(): Promise<void> {
    const { eviction } = this.#settings
    if (eviction !== "leastRecentlyUsed" && typeof eviction === "string") return
    await this.#writers.run(() => this.#items.keepUses())
  }

  #changed(): void {
    this.#otherChanges++
  }

  #surroundings(): Surroundings {
    const items = this.#items
    return {
      size: items.size,
      generation: this.#generation(),
      index: this.#index,
      sample: (count) => items.sample(count)
    }
  }
}
