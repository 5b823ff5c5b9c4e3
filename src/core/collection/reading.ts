/** What every thread can do with a collection: search it and read it. */
import * as Effect from "effect/Effect"
import { object } from "../checked.ts"
import { InvalidParameter, type SabineError } from "../errors.ts"
import { abortable, attempt, direct, limited, type Start } from "../lift.ts"
import { checkLimits } from "../limits.ts"
import type { ScanCost } from "../search/cost.ts"
import type { Dispatcher } from "../search/dispatch.ts"
import { parseFilter } from "../search/filter/parse.ts"
import type { SearchOptions } from "../search/options.ts"
import { choose } from "../search/plan.ts"
import { countRows } from "../search/search.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive } from "../store/memory.ts"
import { NO_NAMESPACE, scopeOf } from "../store/rows.ts"
import { type Searchable, underClaim } from "../store/searchable.ts"
import { inNextTurn, leftInTurn } from "../turn.ts"
import { decodedVector, distanceFrom } from "./decoding.ts"
import { checkedKey, type Entry } from "./entries.ts"
import { filterOfNamespace, type Namespace, passingNamespace, scopeOfNamespace } from "./namespace.ts"
import { type Hit, type HitColumns, type HitSink, type HitSource, hitColumns, hitList, readEntry } from "./read.ts"
import { RowWalk } from "./row-walk.ts"
import { checkedText, type EmbedTexts } from "./texts.ts"
import { areMany, lentVector, ownVector, ownVectors, ownVectorsInTurns } from "./vectors.ts"

/** A vector, or a text for the collection's embedder. */
export type Query = ArrayLike<number> | string

export interface Reading {
  /** The name it was opened by. */
  readonly name: string
  /** Entries at this moment: those of other namespaces do not count. */
  readonly size: () => number
  /** The nearest entries, best first; ties go to the older row. */
  readonly search: (query: Query, options?: SearchOptions) => Effect.Effect<ReadonlyArray<Hit>, SabineError>
  /**
   * The nearest entries of many vectors (row-major) or texts, in flat arrays. Batches share each pass over memory. More than
   * 131,072 components are read in turns of the event loop: they are to stay what they are until the call settles.
   */
  readonly searchMany: (
    queries: Float32Array | ReadonlyArray<string>,
    options?: SearchOptions
  ) => Effect.Effect<HitColumns, SabineError>
  /** What is stored under a key; undefined when there is nothing. */
  readonly get: (key: string) => Effect.Effect<Entry | undefined, SabineError>
  /** Whether there is an entry of this key. */
  readonly has: (key: string) => Effect.Effect<boolean, SabineError>
  /** The vector that the product code of an entry stands for; undefined when there is no such entry. */
  readonly reconstruct: (key: string) => Effect.Effect<Float32Array | undefined, SabineError>
  /**
   * The distance of a vector or text from an entry as its product code alone gives it: what a `pq` search ranks by, but
   * for the rounding of its tables. Lower is nearer: one less the estimated similarity with `cosine`, minus the inner
   * product with `dot`, the squared distance with `l2`. Undefined when there is no such entry.
   */
  readonly approximateDistance: (query: Query, key: string) => Effect.Effect<number | undefined, SabineError>
  /**
   * Entries in row order, each once; those that a compaction or an update moves meanwhile may come last. What is added or
   * deleted meanwhile may or may not be met, and what is updated is met as it was or as it is. A caller who lets 262,144 updates
   * pass between two entries begins anew and meets some again.
   */
  readonly entries: () => AsyncIterableIterator<Entry>
}

/** What a thread searches a collection with. */
export interface Searching {
  readonly memory: Searchable
  readonly cost: ScanCost
  readonly dispatcher: Dispatcher
}

/** Reads one namespace of a collection. */
export const makeReading = (
  name: string,
  { memory, cost, dispatcher }: Searching,
  embed: EmbedTexts,
  namespace: Namespace = undefined
): Reading => {
  const { kernels, shape } = memory
  const source = { rows: memory, scope: () => scopeOfNamespace(memory, namespace) }
  const passingOf = passingNamespace(memory, namespace)

  /** What a search asks for, checked. */
  const checked = (options: SearchOptions) => {
    const { filter } = object("options", options)
    const choice = choose(options, shape)
    return { choice, passing: passingOf(filter === undefined ? undefined : parseFilter(filter, shape.fields ?? {})) }
  }

  const startVectors =
    <A>(vectors: () => Float32Array, isBatch: boolean, options: SearchOptions, sink: MakeSink<A>): Start<A> =>
    (done, fail) => {
      try {
        const { choice, passing } = checked(options)
        checkLimits(options)
        const queries = vectors()
        const count = queries.length / shape.dimensions
        const { reader, result } = sink(source, count, choice.keep)
        const search = { memory, cost, choice, passing, queries, count, reader }
        return dispatcher.start({ ...search, isBatch, done: () => done(result()), fail }, options)
      } catch (error) {
        fail(error)
        return undefined
      }
    }

  /** Limits of `options` over all that is done by the others. */
  const limitedTogether = <A>(
    options: SearchOptions,
    run: (others: SearchOptions) => Effect.Effect<A, SabineError>
  ): Effect.Effect<A, SabineError> =>
    Effect.flatMap(
      attempt(() => object("options", options)),
      ({ signal, timeout, ...others }) => limited(run(others), { signal, timeout })
    )

  /** Once texts of the dictionary that another thread wrote are read here, of which `effect` may meet any. */
  const caughtUp = <A>(effect: Effect.Effect<A, SabineError>): Effect.Effect<A, SabineError> =>
    memory.tags.isFarBehind()
      ? Effect.andThen(
          abortable((signal) => memory.tags.catchUp(signal)),
          effect
        )
      : effect

  const searchVectors = <A>(
    vectors: () => Float32Array,
    isBatch: boolean,
    options: SearchOptions,
    sink: MakeSink<A>
  ): Effect.Effect<A, SabineError> => {
    if (!memory.tags.isFarBehind()) return direct(startVectors(vectors, isBatch, options, sink))
    return limitedTogether(options, (others) =>
      Effect.flatMap(
        attempt(() => vectors().slice()),
        (own) => caughtUp(direct(startVectors(() => own, isBatch, others, sink)))
      )
    )
  }

  /** As `searchVectors`, of vectors that are made first; the limits hold for both together. */
  const searchMade = <A>(
    make: (signal: AbortSignal) => Promise<Float32Array>,
    isBatch: boolean,
    options: SearchOptions,
    sink: MakeSink<A>
  ): Effect.Effect<A, SabineError> => {
    const made = abortable(async (signal) => {
      checked(options)
      return make(signal)
    })
    return limitedTogether(options, (others) =>
      Effect.flatMap(made, (vectors) => searchVectors(() => vectors, isBatch, others, sink))
    )
  }

  const embedded = async (texts: ReadonlyArray<string>, signal: AbortSignal): Promise<Float32Array> => {
    for (const text of texts) checkedText("query", text)
    if (texts.length === 0) return new Float32Array()
    return ownVectorsInTurns(kernels, shape, await embed([...texts], "query", signal), signal)
  }

  const searchMatrix = (queries: unknown, options: SearchOptions): Effect.Effect<HitColumns, SabineError> =>
    queries instanceof Float32Array && areMany(queries)
      ? searchMade((signal) => ownVectorsInTurns(kernels, shape, queries, signal), true, options, hitColumns)
      : searchVectors(() => ownVectors(kernels, shape, matrix(queries)), true, options, hitColumns)

  const rowOf = (key: string): number => {
    // Checked first, so that a wrong key is told in a namespace without entries too.
    checkedKey(key, NO_NAMESPACE)
    const scope = source.scope()
    return scope === undefined ? -1 : memory.find(checkedKey(key, scope))
  }

  const readNow = <A>(read: () => A): Effect.Effect<A, SabineError> => attempt(() => underClaim(memory, read))

  /** As `readNow`, of what meets no text of the dictionary but the name of the namespace. */
  const readKeyed = <A>(read: () => A): Effect.Effect<A, SabineError> =>
    namespace === undefined ? readNow(read) : caughtUp(readNow(read))

  /** A query as a vector of ours. */
  const queryVector = (query: Query): Effect.Effect<Float32Array, SabineError> =>
    typeof query === "string"
      ? abortable((signal) => embedded([query], signal))
      : attempt(() => ownVector(kernels, shape, query))

  /** The decoded vector of an entry. Called under a claim. */
  const decoded = (key: string): Float32Array | undefined => {
    const row = rowOf(key)
    return row < 0 ? undefined : decodedVector(name, memory, row)
  }

  return {
    name,
    size: () => {
      const filter = filterOfNamespace(memory, namespace, undefined)
      return filter === undefined ? memory.directory.live : countRows(memory, filter)
    },
    search: (query, options = {}) =>
      typeof query === "string"
        ? searchMade((signal) => embedded([query], signal), false, options, oneList)
        : searchVectors(() => lentVector(kernels, shape, query), false, options, oneList),
    searchMany: (queries, options = {}) =>
      Array.isArray(queries)
        ? searchMade((signal) => embedded(queries, signal), true, options, hitColumns)
        : searchMatrix(queries, options),
    get: (key) =>
      caughtUp(
        readNow(() => {
          const row = rowOf(key)
          return row < 0 ? undefined : readEntry(memory, row)
        })
      ),
    reconstruct: (key) => readKeyed(() => decoded(key)),
    approximateDistance: (query, key) =>
      Effect.flatMap(queryVector(query), (vector) =>
        readKeyed(() => {
          const found = decoded(key)
          return found && distanceFrom(vector, found, memory)
        })
      ),
    has: (key) => readKeyed(() => rowOf(key) >= 0),
    entries: async function* () {
      if (memory.tags.isFarBehind()) await memory.tags.catchUp()
      const walk = new RowWalk(memory)
      const read = (row: number): Entry | undefined => {
        const segment = memory.segments[Math.floor(row / SLOTS)]
        if (segment === undefined || !isLive(segment, row % SLOTS)) return undefined
        return scopeOf(memory, row) === source.scope() ? readEntry(memory, row) : undefined
      }
      for (let met = walk.next(read); met !== undefined; met = walk.next(read)) {
        if (met.value !== undefined) yield met.value
        if (leftInTurn() <= 0) await inNextTurn()
      }
    }
  }
}

type MakeSink<A> = (source: HitSource, queries: number, keep: number) => HitSink<A>

const oneList: MakeSink<ReadonlyArray<Hit>> = (source, _, keep) => hitList(source, keep)

const matrix = (queries: unknown): Float32Array => {
  if (queries instanceof Float32Array) return queries
  throw new InvalidParameter({
    parameter: "queries",
    reason: "wanted one Float32Array of count x dimensions, or an array of texts"
  })
}
