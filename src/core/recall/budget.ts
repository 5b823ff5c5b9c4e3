/** How many items and bytes a pool may hold, and who gives way when more are to come. */
import { CapacityExceeded, InvalidParameter, MemoryExceeded } from "../errors.ts"
import { forEachSliced } from "../slice.ts"
import { diversity } from "./eviction/diversity.ts"
import type { EvictableItems, EvictionName, EvictionPolicy } from "./eviction/policy.ts"
import { leastRecentlyUsed, leastUseful, oldest } from "./eviction/ranked.ts"
import type { RecallSettings } from "./options.ts"
import type { Serial } from "./serial.ts"

const POLICIES: Readonly<Record<EvictionName, () => EvictionPolicy>> = {
  oldest,
  leastUseful,
  leastRecentlyUsed,
  diversity
}

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

/** Times that who gives way is chosen again because rows changed places meanwhile. */
const MAX_CHOICES = 8

interface BudgetedItems extends EvictableItems {
  readonly bytes: number
  readonly keyOf: (row: number) => string
}

export class Budget {
  readonly #items: BudgetedItems
  readonly #maxSize: number
  readonly #maxBytes: number
  readonly #policy: EvictionPolicy
  readonly #writers: Serial

  constructor(
    items: BudgetedItems,
    { maxSize, budgetBytes, eviction }: Pick<RecallSettings, "maxSize" | "budgetBytes" | "eviction">,
    writers: Serial
  ) {
    this.#items = items
    this.#writers = writers
    this.#maxSize = maxSize
    this.#maxBytes = budgetBytes
    this.#policy = typeof eviction === "string" ? POLICIES[eviction]() : eviction
  }

  stats(): MemoryBudgetStats {
    const { bytes, size } = this.#items
    return { currentBytes: bytes, maxBytes: this.#maxBytes, ratio: bytes / this.#maxBytes, count: size }
  }

  /**
   * Keys of the items that give way to new ones of these bytes; throws `MemoryExceeded` or `CapacityExceeded` when even
   * all of them would not be enough.
   */
  async victims(sizes: Float64Array): Promise<ReadonlyArray<string>> {
    let [wanted, largest] = [0, 0]
    for (const size of sizes) {
      wanted += size
      largest = Math.max(largest, size)
    }
    if (largest > this.#maxBytes) throw new MemoryExceeded({ bytes: largest, limit: this.#maxBytes })
    if (wanted > this.#maxBytes) throw new CapacityExceeded({ resource: "the memory budget", limit: this.#maxBytes })
    if (sizes.length > this.#maxSize) throw new CapacityExceeded({ resource: "the pool", limit: this.#maxSize })
    for (let choice = 1; ; choice++) {
      const { bytes, size } = this.#items
      const count = Math.max(0, size + sizes.length - this.#maxSize)
      // What is larger than nine tenths by itself has the budget to itself.
      const room = Math.max(FULL * this.#maxBytes, wanted)
      const surplus = Math.max(0, bytes + wanted - room)
      if (count === 0 && surplus === 0) return []
      const moved = this.#items.moved()
      const rows = await this.#writers.calling(() => this.#policy.victims(this.#items, { count, bytes: surplus }))
      const { keys, freed } = await this.#named(rows)
      if (this.#items.moved() !== moved && choice < MAX_CHOICES) continue
      if (keys.length >= count && freed >= surplus) return keys
      throw new CapacityExceeded({ resource: "what gives way in the pool", limit: keys.length })
    }
  }

  /** Keys and bytes of rows: a policy of the caller's own may name one twice, or one that is not there. */
  async #named(rows: ReadonlyArray<number>) {
    const items = this.#items
    if (!Array.isArray(rows)) throw new InvalidParameter({ parameter: "eviction", reason: "its victims are no array" })
    const victims = [...new Set(rows)]
    const keys: Array<string> = []
    let freed = 0
    await forEachSliced(victims.length, undefined, (i) => {
      const row = victims[i]!
      if (!items.has(row)) return
      keys.push(items.keyOf(row))
      freed += items.bytesOf(row)
    })
    return { keys, freed }
  }
}
