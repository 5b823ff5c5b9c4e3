/** The door of the semantic cache: answers of language models, served again when the same is asked in other words. */
import { serviceOf } from "./behind.ts"
import type { Answered, AskModel } from "./core/cache/asking.ts"
import { SemanticCache as SemanticCacheService } from "./core/cache/cache.ts"
import type { AskOptions, CacheOptions } from "./core/cache/options.ts"
import type { CacheRequest } from "./core/cache/request.ts"
import type { Database } from "./index.ts"
import { type Promised, promised, run } from "./promised.ts"
import { type Closable, start } from "./started.ts"

export type { SizeBounds } from "./core/cache/adaptive-size.ts"
export type { LearnedTtl, TtlBounds } from "./core/cache/adaptive-ttl.ts"
export type { Answered, AskContext, AskModel } from "./core/cache/asking.ts"
export type { Invalidated } from "./core/cache/cache.ts"
export { type AnswerFacts, type Unkept, usualFacts } from "./core/cache/facts.ts"
export type {
  AskOptions,
  CacheOptions,
  EvictionName,
  GetOptions,
  Judge,
  SetOptions
} from "./core/cache/options.ts"
export type { Form, Notes, PackedEntry } from "./core/cache/packed.ts"
export type { EvictionPolicy, MakePolicy, PolicyRows } from "./core/cache/policies/policy.ts"
export type { CacheMessage, CacheRequest } from "./core/cache/request.ts"
export type { CachedEntry, Hit, Kept, LookUp, Miss, MissReason, NearMiss } from "./core/cache/results.ts"
export type { CacheStatistics, Histogram } from "./core/cache/statistics.ts"
export type { Mix } from "./core/cache/traffic.ts"
export { nearestVerifier } from "./core/cache/verify/threshold.ts"
export * from "./core/cache/verifying.ts"

/** A cache in a database. Closing it leaves the database open and every entry where it is. */
export interface SemanticCache extends Omit<Promised<SemanticCacheService["Service"]>, "wrap">, Closable {
  /**
   * A function that answers from the cache, or asks `model` and keeps the answer. Callers who ask the same at the same
   * time share one call. It rejects with what the model rejects with; that is never kept.
   */
  readonly wrap: <R extends CacheRequest, A>(
    model: AskModel<R, A>
  ) => (request: R, options?: AskOptions) => Promise<Answered<A>>
}

/** Opens a cache in a database that `open` opened: the entries it has, or none yet. */
export const semanticCache = async (db: Database, options?: CacheOptions): Promise<SemanticCache> => {
  const database = serviceOf(db)
  const { runtime, runner, closable } = start(SemanticCacheService.in(database.collection, options))
  try {
    const service = await runtime.runPromise(SemanticCacheService)
    return {
      ...promised(service, runner),
      wrap: (model) => {
        const ask = service.wrap(model)
        return (request, options) => run(runner, ask(request, options))
      },
      ...closable
    }
  } catch (error) {
    await closable.close()
    throw error
  }
}
