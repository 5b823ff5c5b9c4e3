/**
 * The semantic cache: answers of language models, served again when the same is asked in other words.
 *
 * An Effect is one call of a caller; within it everything is plain code, because a look-up takes less time than a fiber.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { object } from "../checked.ts"
import type { Collection } from "../collection/collection.ts"
import type { CollectionOptions } from "../collection/options.ts"
import { InvalidParameter, type SabineError } from "../errors.ts"
import { abortable, attempt, direct, limited } from "../lift.ts"
import { isPromise } from "../promise.ts"
import { inNextTurn, leftInTurn } from "../turn.ts"
import { Acceptance } from "./acceptance.ts"
import { AdaptiveTtl } from "./adaptive-ttl.ts"
import { type Answered, Asking, type AskModel } from "./asking.ts"
import { CacheEntries } from "./entries.ts"
import { Eviction } from "./eviction.ts"
import type { Unkept } from "./facts.ts"
import { type Invalidation, Invalidations } from "./invalidation.ts"
import { Keeping } from "./keeping.ts"
import { Learned } from "./learned.ts"
import {
  type AskOptions,
  type CacheOptions,
  type CacheSettings,
  type GetOptions,
  type SetOptions,
  settingsOf
} from "./options.ts"
import { type Asked, askedOf, type CacheRequest, scopeOf, scopeOfDigits } from "./request.ts"
import type { CachedEntry, Kept, LookUp } from "./results.ts"
import { isSideKey } from "./side-record.ts"
import { type CacheStatistics, Counters } from "./statistics.ts"
import { Sweep } from "./sweep.ts"
import { contentOf, type Looked, Tiers } from "./tiers.ts"
import { Told } from "./told.ts"

/** Which entries are to be gone: those for which every part holds. At least one part is needed. */
export interface Invalidated extends Omit<Invalidation, "scope"> {
  /**
   * Entries of the scope of this request: all that `get` could find for it, whatever its last message says. Or the `scope` of
   * an entry, as `entries()` has it.
   */
  readonly scope?: CacheRequest | string | undefined
}

interface SemanticCacheService {
  /** Looks for an answer: a `Hit`, or a `Miss` that says why not. */
  readonly get: (request: CacheRequest, options?: GetOptions) => Effect.Effect<LookUp, SabineError>
  /**
   * Keeps the answer to a request, in place of the one there was. Answers that are errors, call tools, are cut, refused or
   * not validated are not kept, and the result says so. In a folder what is kept is durable when this is done.
   */
  readonly set: (
    request: CacheRequest,
    answer: unknown,
    options?: SetOptions
  ) => Effect.Effect<Kept<Unkept>, SabineError>
  /**
   * A function that answers from the cache, or asks `model` and keeps the answer. Callers who ask the same at the same
   * time share one call. Its result rejects with what the model rejects with; that is never kept.
   */
  readonly wrap: <R extends CacheRequest, A>(
    model: AskModel<R, A>
  ) => (request: R, options?: AskOptions) => Effect.Effect<Answered<A>, SabineError>
  /**
   * Deletes entries; how many. None of them is served from the call on, or where `scope` is a request that is long beside its
   * last message from when that was read; and they are gone for good when it is done.
   */
  readonly invalidate: (which: Invalidated) => Effect.Effect<number, SabineError>
  /**
   * Deletes entries whose time is over, that to be served stale included, and by the policy what is beyond the bounds; how
   * many. Bounds are kept without it: this is for those who open a cache with smaller ones to make it so small now.
   */
  readonly evict: () => Effect.Effect<number, SabineError>
  /** The entries of all scopes and tenants, in no order. What is kept or deleted meanwhile may or may not be met. */
  readonly entries: () => AsyncIterableIterator<CachedEntry>
  readonly stats: () => CacheStatistics
}

/** Opens a collection of the database that the cache is to live in. */
type OpenCollection = (name: string, options: CollectionOptions) => Effect.Effect<Collection, SabineError>

export class SemanticCache extends Context.Service<SemanticCache, SemanticCacheService>()("sabine/SemanticCache") {
  /** A cache in a collection that `open` opens, for the length of the layer's scope. */
  static readonly in = (open: OpenCollection, options: CacheOptions = {}) =>
    Layer.effect(SemanticCache, acquire(open, options))
}

const acquire = Effect.fnUntraced(function* (open: OpenCollection, options: CacheOptions) {
  const settings = yield* attempt(() => settingsOf(options))
  const collection = yield* open(settings.name, settings.collection)
  const running = yield* Effect.acquireRelease(
    abortable((signal) => Running.start(collection, settings, signal)),
    (running) => Effect.promise(() => running.close())
  )
  return SemanticCache.of({
    get: (request, options = {}) =>
      called(options?.signal, async (signal) => {
        const taken = running.asked(request)
        const asked = isPromise(taken) ? await taken : taken
        return (await running.lookUp(asked, options, signal)).result
      }),
    set: (request, answer, options = {}) =>
      called(undefined, (signal) => running.set(request, answer, options, signal)),
    wrap:
      (model) =>
      (request, options = {}) =>
        called(options?.signal, (signal) => running.asking.ask(model, request, options, signal)),
    invalidate: (which) => called(undefined, () => running.invalidate(which)),
    evict: () => called(undefined, (signal) => running.evict(signal)),
    entries: () => running.all(),
    stats: () => running.stats()
  })
})

/** One call as an Effect that a door of Promises starts without a fiber. `work` is told by its signal to stop. */
const called = <A>(
  given: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, SabineError> => {
  const call = direct<A>((done, fail) => {
    const controller = new AbortController()
    const working = work(controller.signal)
    working.then(done, fail)
    return async () => {
      controller.abort()
      await Promise.allSettled([working])
    }
  })
  return limited(call, { signal: given })
}

/** Counts what a collection holds; fails where all of it is something else than a cache's: that is not to give way. */
const counted = async (entries: CacheEntries, name: string, signal: AbortSignal): Promise<void> => {
  let isCache = false
  let isOther = false
  await entries.forEachRow(signal, (row) => {
    if (entries.isThere(row)) {
      if (entries.at(row) === undefined) isOther = true
      else isCache = true
    } else isOther ||= entries.isBeside(row) && !isSideKey(entries.keyOf(row))
    return entries.count(row)
  })
  if (isCache || !isOther) return
  throw new InvalidParameter({ parameter: "name", reason: `the collection ${name} is not of a cache` })
}

/** A cache that is open. */
class Running {
  readonly #settings: CacheSettings
  readonly #counters = new Counters()
  readonly #entries: CacheEntries
  readonly #acceptance: Acceptance
  readonly #eviction: Eviction
  readonly #sweep: Sweep | undefined
  readonly #invalidations: Invalidations
  readonly #keeping: Keeping
  readonly #tiers: Tiers
  readonly asking: Asking

  readonly #told: Told
  /** Absent where times to live are fixed. */
  readonly #ttl: AdaptiveTtl | undefined
  readonly #learned: Learned

  private constructor(
    collection: Collection,
    settings: CacheSettings,
    acceptance: Acceptance,
    { told, learned }: { readonly told: Told; readonly learned: Learned }
  ) {
    const entries = new CacheEntries(collection, settings)
    const eviction = new Eviction(entries, settings.policy(entries), settings, Math.random, learned.kept.size)
    const invalidations = new Invalidations(entries, settings.clock)
    const counters = this.#counters
    const { clock, sweepMs } = settings
    const ttl =
      typeof settings.ttl === "function" ? settings.ttl : new AdaptiveTtl(settings.ttl, clock, learned.kept.ttl)
    this.#ttl = typeof ttl === "function" ? undefined : ttl
    this.#learned = learned
    const sweep = sweepMs === undefined ? undefined : new Sweep(entries, clock, sweepMs)
    const tiers = new Tiers({
      entries,
      settings,
      invalidations,
      eviction,
      ttl: this.#ttl,
      acceptance,
      confirm: (asked, hit) => this.#keeping.confirm(asked, hit),
      reject: (asked, hit) => this.#keeping.reject(asked, hit)
    })
    const keeping = new Keeping({ entries, settings, ttl, eviction, sweep, counters, tiers, told })
    entries.onRemoved = (key) => told.forget(key)
    this.#told = told
    this.#settings = settings
    this.#entries = entries
    this.#acceptance = acceptance
    this.#eviction = eviction
    this.#sweep = sweep
    this.#invalidations = invalidations
    this.#tiers = tiers
    this.#keeping = keeping
    this.asking = new Asking({
      settings,
      tiers,
      keeping,
      invalidations,
      counters,
      lookUp: (asked, options, signal) => this.lookUp(asked, options, signal)
    })
  }

  /** Counts what the collection holds. */
  static async start(collection: Collection, settings: CacheSettings, signal: AbortSignal): Promise<Running> {
    const told = await Told.in(collection)
    const running = new Running(
      collection,
      settings,
      await Acceptance.of(settings, told.feedback, collection.shape.embedder),
      { told, learned: await Learned.in(collection, settings.clock) }
    )
    const entries = running.#entries
    try {
      await counted(entries, settings.name, signal)
    } catch (error) {
      await running.close()
      throw error
    }
    // Not before: to a collection that is refused nothing is written.
    running.#learned.from({ size: running.#eviction.size, ttl: running.#ttl })
    running.#eviction.relieve()
    return running
  }

  async close(): Promise<void> {
    this.#keeping.close()
    await this.asking.close()
    await this.#sweep?.close()
    await this.#eviction.close()
    await this.#learned.close()
  }

  asked(request: CacheRequest): Asked | Promise<Asked> {
    return askedOf(request, this.#settings.tenant)
  }

  async lookUp(asked: Asked, options: GetOptions, signal: AbortSignal): Promise<Looked> {
    const start = performance.now()
    const looked = await this.#tiers.lookUp(asked, object("options", options), signal)
    if (!looked.result.isHit) this.#eviction.missed(asked.key)
    this.#learned.lookedUp()
    this.#counters.lookedUp(looked.result, (performance.now() - start) * 1000)
    return looked
  }

  async set(request: CacheRequest, answer: unknown, options: SetOptions, signal: AbortSignal): Promise<Kept<Unkept>> {
    const taken = this.asked(request)
    const making = this.#invalidations.begin()
    try {
      const asked = isPromise(taken) ? await taken : taken
      return await this.#keeping.keep({ request, asked, making }, answer, object("options", options), signal)
    } finally {
      making.end()
    }
  }

  async invalidate(invalidated: Invalidated): Promise<number> {
    const { scope, ...which } = object("which", invalidated)
    const taken = scope === undefined ? undefined : this.#scopeOf(scope)
    const hash = isPromise(taken) ? await taken : taken
    const count = await this.#invalidations.run({ ...which, scope: hash })
    this.#counters.invalidated += count
    return count
  }

  #scopeOf(scope: CacheRequest | string): Buffer | Promise<Buffer> {
    return typeof scope === "string" ? scopeOfDigits(scope) : scopeOf(scope, this.#settings.tenant)
  }

  async evict(signal: AbortSignal): Promise<number> {
    const entries = this.#entries
    const before = this.#eviction.evicted
    const expired = await entries.removeAll((row) => entries.isOver(row), signal)
    await this.#eviction.relieved()
    return expired + this.#eviction.evicted - before
  }

  async *all(): AsyncGenerator<CachedEntry> {
    const next = this.#entries.walk()
    for (let row = next(); row !== undefined; row = next()) {
      const entry = this.#entries.isThere(row) ? this.#entries.at(row) : undefined
      const content = entry && contentOf(entry)
      if (entry !== undefined && content !== undefined) {
        const { text, form, made, expires, took } = entry
        const ageMs = this.#settings.clock() - made
        const scope = entry.scope.toString("hex")
        yield { key: this.#entries.keyOf(row), scope, text, form, ...content, tookMs: took, ageMs, expires }
      }
      if (leftInTurn() <= 0) await inNextTurn()
    }
  }

  stats(): CacheStatistics {
    const { size: entries, bytes } = this.#entries
    const { evicted, maxBytes } = this.#eviction
    const swept = this.#sweep?.swept ?? 0
    const stats = this.#counters.get(
      { entries, bytes, maxBytes, ttl: this.#ttl?.learned, mix: this.#acceptance.mix, evicted, swept },
      this.#told.feedback
    )
    return { ...stats, failures: stats.failures + this.#learned.failures }
  }
}
