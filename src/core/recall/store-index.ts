/** Neighbours by the store's own indexes: they hold row numbers, so no embedding is there twice. */
import type { Collection } from "../collection/collection.ts"
import { insideOf } from "../collection/inside.ts"
import { passingNamespace } from "../collection/namespace.ts"
import { settled } from "../collection/settled.ts"
import { IndexNotBuilt } from "../errors.ts"
import type { Hits } from "../kernels/contract.ts"
import { checkLimits } from "../limits.ts"
import { parseFilter } from "../search/filter/parse.ts"
import type { Passing } from "../search/filter/passing.ts"
import type { Mode } from "../search/options.ts"
import { choose, type SearchChoice } from "../search/plan.ts"
import { isCurrent } from "../store/rows.ts"
import type { RecallIndex } from "./options.ts"
import type { Neighbour, SimilarityIndex, Wanted } from "./similarity-index.ts"

/** Filters and choices at hand: those of the last calls come again. */
const REMEMBERED = 64

/** Candidates that are scored again for rough neighbours, at least and by neighbours wanted. */
const LEAST_RERANK = 128
const RERANK_FACTOR = 2

const MODE_OF: Readonly<Record<RecallIndex, Mode>> = { auto: "auto", flat: "flat", hnsw: "hnsw", ivf: "ivf" }

export class StoreIndex implements SimilarityIndex {
  readonly #inside: ReturnType<typeof insideOf>
  readonly #passing: ReturnType<typeof passingNamespace>
  readonly #filters = new Map<string, Passing>()
  readonly #choices = new Map<string, SearchChoice>()

  constructor(collection: Collection) {
    this.#inside = insideOf(collection)
    this.#passing = passingNamespace(this.#inside.store, undefined)
  }

  async nearest(embedding: Float32Array, wanted: Wanted): Promise<ReadonlyArray<Neighbour>> {
    const [found = []] = await this.#search(embedding, 1, wanted)
    return found
  }

  nearestOfEach(
    embeddings: Float32Array,
    wanted: Omit<Wanted, "mmr">
  ): Promise<ReadonlyArray<ReadonlyArray<Neighbour>>> {
    return this.#search(embeddings, embeddings.length / this.#inside.store.shape.dimensions, wanted)
  }

  /** Whether the structure that an index is made of is there. */
  isBuilt(index: RecallIndex): boolean {
    const { store } = this.#inside
    // Links of an image count: rows are scanned until they are in force.
    if (index === "hnsw")
      return store.graph !== undefined && (store.graph.linked > 0 || store.graph.unrestored !== undefined)
    return index !== "ivf" || (store.lists?.count ?? 0) > 0
  }

  /** Goes on without the structure of an index: where it is asked for, it is made anew of what is there. */
  drop(index: "hnsw" | "ivf"): Promise<void> {
    return settled(this.#inside.dropIndex(index))
  }

  #search(queries: Float32Array, count: number, wanted: Wanted): Promise<Array<Array<Neighbour>>> {
    const { store, searching } = this.#inside
    const { signal, timeout, filter, index = "auto" } = wanted
    checkLimits({ signal, timeout })
    if (!this.isBuilt(index)) throw new IndexNotBuilt({ index })
    const choice = this.#choice(wanted, index)
    const passing = filter === undefined ? this.#passing(undefined) : this.#passingOf(filter)
    const found: Array<Array<Neighbour>> = Array.from({ length: count }, () => [])
    const reader = (query: number) => {
      const list: Array<Neighbour> = []
      found[query] = list
      return {
        take: (hits: Hits, i: number) => {
          const row = hits.rows[i]!
          const generation = hits.generations[i]!
          if (isCurrent(store, row, generation)) list.push({ row, generation, similarity: hits.scores[i]! })
        },
        isComplete: () => list.length === choice.keep
      }
    }
    const { dispatcher, cost } = searching
    return new Promise((resolve, fail) => {
      const request = { memory: store, cost, choice, passing, queries, count, reader, isBatch: count > 1, fail }
      dispatcher.start({ ...request, done: () => resolve(found) }, { signal, timeout })
    })
  }

  #choice({ k, minSimilarity, mmr, isRough, filter }: Wanted, index: RecallIndex): SearchChoice {
    // Of filters and ranges the search knows best how many it takes.
    const rerank =
      isRough && filter === undefined && minSimilarity === undefined
        ? Math.max(LEAST_RERANK, RERANK_FACTOR * k)
        : undefined
    const name = `${index} ${k} ${minSimilarity} ${rerank} ${mmr?.lambda} ${mmr?.fetchK} ${mmr?.fast}`
    const known = this.#choices.get(name)
    if (known !== undefined) return known
    const asked = { k, mode: MODE_OF[index], minScore: minSimilarity, rerank, mmr }
    return remember(this.#choices, name, choose(asked, this.#inside.store.shape))
  }

  #passingOf(filter: NonNullable<Wanted["filter"]>): Passing {
    const term = parseFilter(filter, this.#inside.store.shape.fields ?? {})
    const passing = this.#passing(term)
    return this.#filters.get(passing.id) ?? remember(this.#filters, passing.id, passing)
  }
}

const remember = <V>(map: Map<string, V>, key: string, value: V): V => {
  if (map.size >= REMEMBERED) map.delete(map.keys().next().value!)
  map.set(key, value)
  return value
}
