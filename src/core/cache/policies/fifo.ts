/** First in, first out: by the time at which an answer was made. Keeps nothing of its own. */
import type { EvictionPolicy, PolicyRows } from "./policy.ts"

export const fifo = (rows: PolicyRows): EvictionPolicy => ({
  name: "fifo",
  stored: () => undefined,
  served: () => undefined,
  worth: (row) => rows.at(row)?.made ?? 0
})
