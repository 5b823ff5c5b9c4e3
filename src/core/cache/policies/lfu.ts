/** Least frequently used, by a sketch that remembers what was evicted; of equals, the least recently used. */
import { lru } from "./lru.ts"
import type { EvictionPolicy, PolicyRows } from "./policy.ts"
import { FrequencySketch } from "./sketch.ts"

/** Recency is a byte: it decides between equal frequencies only. */
const RECENCY = 1 / 256

export const lfu = (rows: PolicyRows): EvictionPolicy => {
  const recency = lru(rows)
  const sketch = new FrequencySketch()
  return {
    name: "lfu",
    stored: (row) => {
      sketch.add(rows.hashOf(row), rows.size)
      recency.stored(row)
    },
    served: (row, isCovered) => {
      sketch.add(rows.hashOf(row), rows.size)
      recency.served(row, isCovered)
    },
    worth: (row) => sketch.estimate(rows.hashOf(row)) + RECENCY * recency.worth(row)
  }
}
