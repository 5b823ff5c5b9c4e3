/** What a pool holds, what it costs and what it did. */
import type { CollectionStats } from "../collection/stats.ts"
import type { MemoryBudgetStats } from "./budget.ts"
import type { RecallIndex } from "./options.ts"
import type { RecallCacheStats } from "./retrieval/query-memory.ts"

export interface RecallStats {
  readonly items: number
  /** Items of each class. */
  readonly classes: Readonly<Record<string, number>>
  /** Moves with every change: retrievals that were remembered before it are void. */
  readonly generation: number
  /** Items that were added, that were not coherent, and that gave way, since the pool was opened or cleared. */
  readonly accepted: number
  readonly rejected: number
  readonly evicted: number
  readonly memory: MemoryBudgetStats
  /** Absent without a query cache. */
  readonly queryCache: RecallCacheStats | undefined
  /** The index that was asked for, and whether what it is made of is there. */
  readonly index: RecallIndex
  readonly isBuilt: boolean
  /** The collection that the items live in, its indexes and its bytes by column. */
  readonly collection: CollectionStats
}
