/** The door of the recall pool: remembered items, drawn as a small, coherent and diverse context. */
import { serviceOf } from "./behind.ts"
import type { RecallOptions } from "./core/recall/options.ts"
import { RecallPool as RecallPoolService } from "./core/recall/recall.ts"
import type { Database } from "./index.ts"
import { type Promised, promised } from "./promised.ts"
import { type Closable, start } from "./started.ts"

export type { BiasProfile, ClassBias, Outcome } from "./core/recall/bias.ts"
export type { MemoryBudgetStats } from "./core/recall/budget.ts"
export { COLOUR_CLASSES, type ColourClass, chromaticEncoder } from "./core/recall/chromatic-encoder.ts"
export { chromaticCoherence } from "./core/recall/coherence/chromatic.ts"
export type { Candidate, Coherence, Measured, Surroundings } from "./core/recall/coherence/coherence.ts"
export { type NeighbourhoodOptions, neighbourhoodCoherence } from "./core/recall/coherence/neighbourhood.ts"
export { spectralCoherence } from "./core/recall/coherence/spectral.ts"
export type { Encodable, Encoder } from "./core/recall/encoder.ts"
export type { Demand, EvictableItems, EvictionName, EvictionPolicy } from "./core/recall/eviction/policy.ts"
export type { IndexCheck } from "./core/recall/index-check.ts"
export type { RecallInput, Verdict } from "./core/recall/keeping.ts"
export type { RecallIndex, RecallOptions } from "./core/recall/options.ts"
export type { StoredItem } from "./core/recall/pool.ts"
export type { RecallItem } from "./core/recall/pool-rows.ts"
export type { BalancedOptions, ByClassOptions, DiverseOptions, HybridOptions } from "./core/recall/retrieval/options.ts"
export type { RecallCacheStats } from "./core/recall/retrieval/query-memory.ts"
export type {
  Explanation,
  Recalled,
  RecallQuery,
  RetrieveOptions,
  SimilarOptions
} from "./core/recall/retrieval/recalled.ts"
export type { Neighbour, SimilarityIndex, Wanted } from "./core/recall/similarity-index.ts"
export type { SpectralFeatures } from "./core/recall/spectral.ts"
export type { RecallStats } from "./core/recall/stats.ts"
export type { OwnTensor, Tensor } from "./core/recall/tensor.ts"
export {
  complementTensor,
  filterTensor,
  mixTensors,
  saturateTensor,
  tensorFromSeed
} from "./core/recall/tensor-operations.ts"
export type { HybridWeights } from "./core/recall/weights.ts"

/** A pool in a database. Closing it leaves the database open and every item where it is. */
export interface RecallPool extends Promised<RecallPoolService["Service"]>, Closable {}

/** Opens a pool in a database that `open` opened: the items it has, or none yet. */
export const recallPool = async (db: Database, options?: RecallOptions): Promise<RecallPool> => {
  const database = serviceOf(db)
  const { runtime, runner, closable } = start(RecallPoolService.in(database.collection, options))
  try {
    const service = await runtime.runPromise(RecallPoolService)
    return { ...promised(service, runner), ...closable }
  } catch (error) {
    await closable.close()
    throw error
  }
}
