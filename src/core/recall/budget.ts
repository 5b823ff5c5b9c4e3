/** How many items and bytes a pool may hold, and who gives way when more are to come. */
import { CapacityExceeded, MemoryExceeded } from "../errors.ts"
import { diversity } from "./eviction/diversity.ts"
import type { EvictableItems, EvictionName, EvictionPolicy } from "./eviction/policy.ts"
import { leastRecentlyUsed, leastUseful, oldest } from "./eviction/ranked.ts"
import type { RecallSettings } from "./options.ts"

const POLICIES: Readonly<Record<EvictionName, EvictionPolicy>> = { oldest, leastUseful, leastRecentlyUsed, diversity }

/** Share of the budget from which on items give way. */
const FULL = 0.9

export interface MemoryBudgetStats {
  /** Bytes that the items take, columns, keys and records, to the byte. */
  readonly currentBytes: number
  readonly maxBytes: number
  /** Current over maximum. */
  readonly ratio: number
  /** Items. */
  readonly count: number
}

export class Budget {
  readonly #items: EvictableItems & { readonly bytes: number }
  readonly #maxSize: number
  readonly #maxBytes: number
  readonly #policy: EvictionPolicy

  constructor(
    items: EvictableItems & { readonly bytes: number },
    { maxSize, budgetBytes, eviction }: Pick<RecallSettings, "maxSize" | "budgetBytes" | "eviction">
  ) {
    this.#items = items
    this.#maxSize = maxSize
    this.#maxBytes = budgetBytes
    this.#policy = typeof eviction === "string" ? POLICIES[eviction] : eviction
  }

  stats(): MemoryBudgetStats {
    const { bytes, size } = this.#items
    return { currentBytes: bytes, maxBytes: this.#maxBytes, ratio: bytes / this.#maxBytes, count: size }
  }

  /**
   * Rows that give way to new items of these bytes; throws `MemoryExceeded` or `CapacityExceeded` when even all of them
   * would not be enough.
   */
  async victims(sizes: ReadonlyArray<number>): Promise<ReadonlyArray<number>> {
    const wanted = sizes.reduce((sum, size) => sum + size, 0)
    const largest = sizes.reduce((most, size) => Math.max(most, size), 0)
    if (largest > this.#maxBytes) throw new MemoryExceeded({ bytes: largest, limit: this.#maxBytes })
    if (wanted > this.#maxBytes) throw new CapacityExceeded({ resource: "the memory budget", limit: this.#maxBytes })
    if (sizes.length > this.#maxSize) throw new CapacityExceeded({ resource: "the pool", limit: this.#maxSize })
    const { bytes, size } = this.#items
    const count = Math.max(0, size + sizes.length - this.#maxSize)
    // What is larger than nine tenths by itself has the budget to itself.
    const room = Math.max(FULL * this.#maxBytes, wanted)
    const surplus = Math.max(0, bytes + wanted - room)
    if (count === 0 && surplus === 0) return []
    const victims = await this.#policy.victims(this.#items, { count, bytes: surplus })
    const freed = victims.reduce((sum, row) => sum + this.#items.bytesOf(row), 0)
    if (victims.length < count || freed < surplus) {
      throw new CapacityExceeded({ resource: "what gives way in the pool", limit: victims.length })
    }
    return victims
  }
}
