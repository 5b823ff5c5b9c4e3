/** What every thread can do with a collection: search it and read it. */
import * as Effect from "effect/Effect"
import { object } from "../checked.ts"
import { DimensionMismatch, InvalidParameter, type SabineError } from "../errors.ts"
import type { Hits } from "../kernels/contract.ts"
import { abortable, attempt, cancellable } from "../lift.ts"
import type { SearchOptions } from "../search/options.ts"
import { choose } from "../search/plan.ts"
import { type Searching, searchRows, type Used } from "../search/search.ts"
import { SLICE_MS } from "../slice.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive } from "../store/memory.ts"
import { underClaim } from "../store/searchable.ts"
import { checkedKey, type Entry } from "./entries.ts"
import { type Hit, type HitColumns, readEntry, readHitColumns, readHits } from "./read.ts"
import { checkedText, type EmbedTexts } from "./texts.ts"
import { checkVectors, ownVector } from "./vectors.ts"

/** A vector, or a text for the collection's embedder. */
export type Query = ArrayLike<number> | string

export interface Reading {
  /** The name it was opened by. */
  readonly name: string
  /** Entries at this moment. */
  readonly size: () => number
  /** The nearest entries, best first; ties go to the older row. */
  readonly search: (query: Query, options?: SearchOptions) => Effect.Effect<ReadonlyArray<Hit>, SabineError>
  /** The nearest entries of many vectors (row-major) or texts, in flat arrays. Batches share each pass over memory. */
  readonly searchMany: (
    queries: Float32Array | ReadonlyArray<string>,
    options?: SearchOptions
  ) => Effect.Effect<HitColumns, SabineError>
  /** What is stored under a key; undefined when there is nothing. */
  readonly get: (key: string) => Effect.Effect<Entry | undefined, SabineError>
  /** Whether there is an entry of this key. */
  readonly has: (key: string) => Effect.Effect<boolean, SabineError>
  /** Entries in row order. What is added or deleted meanwhile may or may not be met. */
  readonly entries: () => AsyncIterableIterator<Entry>
}

export const makeReading = (name: string, searching: Searching, embed: EmbedTexts): Reading => {
  const { memory } = searching
  const { kernels, shape } = memory

  const vectorsOf = (queries: Float32Array): Float32Array => {
    if (queries.length % shape.dimensions !== 0) {
      throw new DimensionMismatch({ expected: shape.dimensions, got: queries.length })
    }
    checkVectors(kernels, shape, queries)
    return queries
  }
  const embedAll = (texts: ReadonlyArray<string>): Effect.Effect<Float32Array, SabineError> =>
    abortable(async (signal) => {
      for (const text of texts) checkedText("query", text)
      return texts.length === 0 ? new Float32Array() : vectorsOf(await embed([...texts], "query", signal))
    })
  /** The flat vectors of any form of queries, as they are now. */
  const queryVectors = (queries: Query | ReadonlyArray<string>, many: boolean) => {
    if (typeof queries === "string") return embedAll([queries])
    if (!many) return attempt(() => ownVector(kernels, shape, queries as ArrayLike<number>))
    if (queries instanceof Float32Array) return attempt(() => vectorsOf(queries.slice()))
    return Effect.flatMap(
      attempt(() => checkedTexts(queries)),
      embedAll
    )
  }

  const searchBy = <A>(
    queries: Query | ReadonlyArray<string>,
    many: boolean,
    options: SearchOptions,
    read: (hits: Hits, keep: number) => Used<A>
  ): Effect.Effect<A, SabineError> =>
    Effect.flatMap(
      attempt(() => choose(object("options", options), shape)),
      (choice) =>
        cancellable(
          Effect.flatMap(queryVectors(queries, many), (vectors) =>
            searchRows(searching, vectors, choice, (hits) => read(hits, choice.keep))
          ),
          options.signal
        )
    )

  const readNow = <A>(read: () => A): Effect.Effect<A, SabineError> => attempt(() => underClaim(memory, read))

  return {
    name,
    size: () => memory.directory.live,
    search: (query, options = {}) => searchBy(query, false, options, (hits, keep) => readHits(memory, hits, keep)),
    searchMany: (queries, options = {}) =>
      searchBy(queries, true, options, (hits, keep) => readHitColumns(memory, hits, keep)),
    get: (key) =>
      readNow(() => {
        const row = memory.find(checkedKey(key))
        return row < 0 ? undefined : readEntry(memory, row)
      }),
    has: (key) => readNow(() => memory.find(checkedKey(key)) >= 0),
    entries: async function* () {
      let end = performance.now() + SLICE_MS
      for (let row = 0; row < memory.directory.rows; row++) {
        const entry = underClaim(memory, () => {
          const segment = memory.segments[Math.floor(row / SLOTS)]
          return segment !== undefined && isLive(segment, row % SLOTS) ? readEntry(memory, row) : undefined
        })
        if (entry !== undefined) yield entry
        if (performance.now() < end) continue
        await new Promise(setImmediate)
        end = performance.now() + SLICE_MS
      }
    }
  }
}

const checkedTexts = (queries: unknown): ReadonlyArray<string> => {
  if (Array.isArray(queries)) return queries
  throw new InvalidParameter({
    parameter: "queries",
    reason: "wanted one Float32Array of count x dimensions, or an array of texts"
  })
}
