/** A search plan as the native addon takes it: one array of numbers, where an object would be asked for each field. */
import type { SearchPlan } from "./contract.ts"

/** In the order in which `native/src/plan.rs` reads them. */
export const PLAN_FIELDS = [
  "dimensions",
  "metric",
  "precision",
  "liveOffset",
  "generationOffset",
  "scalesOffset",
  "vectorsOffset",
  "factorScale",
  "subspaces",
  "subspaceBits",
  "rotated",
  "mode",
  "keep",
  "wanted",
  "rerank",
  "deepest",
  "nprobe",
  "margin",
  "fromBlock",
  "toBlock",
  "cancel",
  "minScore",
  "seed",
  "fetch",
  "lambda",
  "fast",
  "efSearch"
] as const satisfies ReadonlyArray<keyof SearchPlan>

/** That of the last search: it is read before the next one is packed. */
const numbers = new Float64Array(PLAN_FIELDS.length)

/** NaN for what is absent. */
export const packedPlan = (plan: SearchPlan): Float64Array => {
  for (let i = 0; i < PLAN_FIELDS.length; i++) numbers[i] = Number(plan[PLAN_FIELDS[i]!] ?? Number.NaN)
  return numbers
}
