/** Whether each index still finds what it holds: asked of a sample of the items themselves. */

import { settled } from "../collection/settled.ts"
import { IndexCorrupted } from "../errors.ts"
import type { PoolItems } from "./items.ts"
import type { StoreIndex } from "./store-index.ts"

/** Indexes that are made of something. */
export const INDEXED = ["hnsw", "ivf"] as const

/** Items that an index is asked for. */
const SAMPLED = 64
/** Similarity of an item to itself, as f16 or int8 keeps it. */
const ITSELF = 0.98
/** Least share of them that an index finds: one that is whole finds nearly all. */
const LEAST_FOUND = 0.75

export interface IndexCheck {
  readonly index: (typeof INDEXED)[number]
  /** Share of the sampled items that the index found when it was asked for them. */
  readonly found: number
  /** What was wrong with the index, which has been made anew since; absent where nothing was. */
  readonly fault?: IndexCorrupted
}

/** Asks every index that is there, and makes those anew that do not find what they hold. */
export const checkIndexes = async (
  items: PoolItems,
  index: StoreIndex,
  signal: AbortSignal
): Promise<ReadonlyArray<IndexCheck>> => {
  const checks: Array<IndexCheck> = []
  for (const name of INDEXED) {
    if (items.size === 0 || !index.isBuilt(name)) continue
    const sample = items.sample(SAMPLED)
    const near = await index.nearestOfEach(sample, { k: 1, index: name, signal })
    const found = near.filter(([first]) => first !== undefined && first.similarity >= ITSELF).length / near.length
    if (found >= LEAST_FOUND) {
      checks.push({ index: name, found })
      continue
    }
    await index.drop(name)
    await settled(items.collection.buildIndex({ signal }))
    const reason = `found ${(100 * found).toFixed(0)} % of ${near.length} of its own items`
    checks.push({ index: name, found, fault: new IndexCorrupted({ index: name, reason }) })
  }
  return checks
}
