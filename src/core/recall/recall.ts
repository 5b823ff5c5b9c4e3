/**
 * The recall pool: remembered items, from which a caller draws a small, coherent and diverse context within a budget of
 * memory. Its embeddings live in a collection of a database and nowhere else.
 *
 * An Effect is one call of a caller; within it everything is plain code, because a retrieval takes less time than a fiber.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { object } from "../checked.ts"
import type { Collection } from "../collection/collection.ts"
import type { CollectionOptions } from "../collection/options.ts"
import type { Share } from "../collection/share.ts"
import type { SabineError } from "../errors.ts"
import { abortable, attempt, direct, limited } from "../lift.ts"
import { isLimited, type Limits } from "../limits.ts"
import type { BiasProfile, Outcome } from "./bias.ts"
import type { MemoryBudgetStats } from "./budget.ts"
import type { IndexCheck } from "./index-check.ts"
import type { RecallInput, Verdict } from "./keeping.ts"
import { type RecallOptions, settingsOf } from "./options.ts"
import { RecallPool as OpenPool, type StoredItem } from "./pool.ts"
import type { BalancedOptions, ByClassOptions, DiverseOptions, HybridOptions } from "./retrieval/options.ts"
import type { Recalled, RecallQuery, RetrieveOptions, SimilarOptions } from "./retrieval/recalled.ts"
import type { RecallStats } from "./stats.ts"

type Found = Effect.Effect<ReadonlyArray<Recalled>, SabineError>

interface RecallPoolService {
  /**
   * Adds an item; its key. When the pool is full others give way. `DuplicateKey` when the key is taken, `MemoryExceeded`
   * when the item alone is more than the budget, `CapacityExceeded` when not enough gives way: nothing is lost then.
   */
  readonly add: (item: RecallInput, options?: Limits) => Effect.Effect<string, SabineError>
  /** Adds all items or none; their keys. */
  readonly addMany: (
    items: ReadonlyArray<RecallInput>,
    options?: Limits
  ) => Effect.Effect<ReadonlyArray<string>, SabineError>
  /** Adds an item if it is coherent with the pool, and says how coherent it is and why. */
  readonly addIfCoherent: (item: RecallInput, options?: Limits) => Effect.Effect<Verdict, SabineError>
  /**
   * Judges items one after another, each against the pool and those before it that were added. A key that is taken is
   * `DuplicateKey` before any is added; when one cannot be judged or written later on, those before it stay.
   */
  readonly addManyIfCoherent: (
    items: ReadonlyArray<RecallInput>,
    options?: Limits
  ) => Effect.Effect<ReadonlyArray<Verdict>, SabineError>
  /** An item with its embedding and tensor; undefined when there is none. It does not count as used. */
  readonly get: (key: string) => Effect.Effect<StoredItem | undefined, SabineError>
  /** Removes an item; false when there was none. */
  readonly remove: (key: string) => Effect.Effect<boolean, SabineError>
  /** Removes every item, the indexes, what is remembered of retrievals, what feedback said of classes, and every counter. */
  readonly clear: () => Effect.Effect<void, SabineError>
  /** The items nearest to a query, nearest first; the score is the cosine. */
  readonly similar: (query: RecallQuery, options?: SimilarOptions) => Found
  /** Items of a class, nearest to a query first, or most useful first without one. */
  readonly byClass: (label: string, options?: ByClassOptions) => Found
  /** The nearest items of each class, classes with the nearest item first. */
  readonly balanced: (query: RecallQuery, options?: BalancedOptions) => Found
  /** The most useful items; the score is the utility with the bias of the class, -1..1. */
  readonly byUtility: (options?: RetrieveOptions) => Found
  /**
   * Items near a query and unlike one another, by maximal marginal relevance: each time the one for which
   * `lambda * cosine - (1 - lambda) * largest cosine to one before it` is largest. That is its score.
   */
  readonly diverse: (query: RecallQuery, options?: DiverseOptions) => Found
  /** Items that are similar, useful, of a class and new, in the proportions of the weights, and unlike one another. */
  readonly hybrid: (query: RecallQuery, options?: HybridOptions) => Found
  /** Tells what came of items: the utility of each becomes the mean of its outcomes, `-clamp(deltaLoss, -1, 1)`. */
  readonly feedback: (outcomes: ReadonlyArray<Outcome>) => Effect.Effect<void, SabineError>
  /** What outcomes say of the classes, to be kept as JSON. */
  readonly biasProfile: () => BiasProfile
  /** Takes a profile in place of what was learned. */
  readonly useBias: (profile: BiasProfile) => Effect.Effect<void, SabineError>
  /** Makes the index that the pool was opened with, of the items of this moment. `EmptyCollection` without any. */
  readonly buildIndex: (options?: Limits) => Effect.Effect<void, SabineError>
  /**
   * Asks each index for items that it holds. One that does not find them is made anew, and the result says so: that is no
   * failure. Retrievals scan meanwhile.
   */
  readonly checkIndex: (options?: Limits) => Effect.Effect<ReadonlyArray<IndexCheck>, SabineError>
  readonly memoryBudgetStats: () => MemoryBudgetStats
  readonly stats: () => RecallStats
  /** A handle for another thread of this process, which attaches to the items as to any collection. */
  readonly share: () => Share
}

/** Opens a collection of the database that the pool is to live in. */
type OpenCollection = (name: string, options: CollectionOptions) => Effect.Effect<Collection, SabineError>

export class RecallPool extends Context.Service<RecallPool, RecallPoolService>()("sabine/RecallPool") {
  /** A pool in a collection that `open` opens, for the length of the layer's scope. */
  static readonly in = (open: OpenCollection, options: RecallOptions = {}) =>
    Layer.effect(RecallPool, acquire(open, options))
}

const acquire = Effect.fnUntraced(function* (open: OpenCollection, options: RecallOptions) {
  const settings = yield* attempt(() => settingsOf(options))
  const collection = yield* open(settings.name, settings.collection).pipe(
    // A pool that is there has the fields that it was made with: they need not be named again.
    Effect.catchTag("CollectionMismatch", (error) =>
      options.fields === undefined && error.field === "fields"
        ? open(settings.name, { ...settings.collection, fields: undefined })
        : Effect.fail(error)
    )
  )
  const pool = yield* attempt(() => new OpenPool(collection, settings))
  yield* abortable(() => pool.open())
  // What was used last is not worth a failure: a disk that refuses has told whoever wrote to it.
  yield* Effect.addFinalizer(() => Effect.ignore(abortable(() => pool.close())))
  const { retrieving } = pool
  const one = <A>(many: Promise<ReadonlyArray<A>>): Promise<A> => many.then(([only]) => only!)
  return RecallPool.of({
    add: (item, options) => called(options, (signal) => one(pool.add([item], signal))),
    addMany: (items, options) => called(options, (signal) => pool.add(items, signal)),
    addIfCoherent: (item, options) => called(options, (signal) => one(pool.addIfCoherent([item], signal))),
    addManyIfCoherent: (items, options) => called(options, (signal) => pool.addIfCoherent(items, signal)),
    get: (key) => attempt(() => pool.get(key)),
    remove: (key) => called(undefined, () => pool.remove(key)),
    clear: () => called(undefined, () => pool.clear()),
    similar: (query, options = {}) => retrieved(options, (signal) => retrieving.similar(query, options, signal)),
    byClass: (label, options = {}) => retrieved(options, (signal) => retrieving.byClass(label, options, signal)),
    balanced: (query, options = {}) => retrieved(options, (signal) => retrieving.balanced(query, options, signal)),
    byUtility: (options = {}) => retrieved(options, (signal) => retrieving.byUtility(options, signal)),
    diverse: (query, options = {}) => retrieved(options, (signal) => retrieving.diverse(query, options, signal)),
    hybrid: (query, options = {}) => retrieved(options, (signal) => retrieving.hybrid(query, options, signal)),
    feedback: (outcomes) => called(undefined, () => pool.feedback(outcomes)),
    biasProfile: () => pool.biasProfile(),
    useBias: (profile) => attempt(() => pool.useBias(profile)),
    buildIndex: (options) => called(options, (signal) => pool.buildIndex(signal)),
    checkIndex: (options) => called(options, (signal) => pool.checkIndex(signal)),
    memoryBudgetStats: () => pool.memoryBudgetStats(),
    stats: () => pool.stats(),
    share: () => collection.share()
  })
})

/** A retrieval: most take less time than it takes to make what could stop them, so those without limits run to their end. */
const retrieved = <A>(
  limits: Limits,
  work: (signal: AbortSignal | undefined) => Promise<A>
): Effect.Effect<A, SabineError> => {
  // What is no object, the work refuses.
  if (isLimited(limits ?? {})) return called(limits, work)
  return direct<A>((done, fail) => {
    try {
      const working = work(undefined)
      working.then(done, fail)
      return () => working.then(ended, ended)
    } catch (error) {
      fail(error)
      return undefined
    }
  })
}

const ended = () => undefined

/** One call as an Effect that a door of Promises starts without a fiber. `work` is told by its signal to stop. */
const called = <A>(
  limits: Limits | undefined,
  work: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, SabineError> => {
  const call = direct<A>((done, fail) => {
    const controller = new AbortController()
    const working = (async () => {
      if (limits !== undefined) object("options", limits)
      return work(controller.signal)
    })()
    working.then(done, fail)
    return async () => {
      controller.abort()
      await Promise.allSettled([working])
    }
  })
  return limited(call, { signal: limits?.signal, timeout: limits?.timeout })
}
