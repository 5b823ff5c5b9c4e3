/** What a pool finds its neighbours with. */
import type { Limits } from "../limits.ts"
import type { Filter } from "../search/filter/filter.ts"
import type { MmrOptions } from "../search/options.ts"
import type { RecallIndex } from "./options.ts"

/** An item near a query, as it was when it was found: rows are reused, generations tell. */
export interface Neighbour {
  readonly row: number
  readonly generation: number
  /** Cosine. */
  readonly similarity: number
}

export interface Wanted extends Limits {
  /** Neighbours at most. */
  readonly k: number
  readonly filter?: Filter | undefined
  readonly minSimilarity?: number | undefined
  /** Chooses neighbours that are unlike one another, in the order of the choice. */
  readonly mmr?: MmrOptions | undefined
  /** Whether neighbours are ranked again by more than nearness, so that a few of the furthest may be missed. */
  readonly isRough?: boolean | undefined
  /** Which index finds them; what `auto` is depends on what is there. */
  readonly index?: RecallIndex | undefined
}

export interface SimilarityIndex {
  /** The nearest items, best first, ties to the lower row; diverse ones in the order they were chosen. */
  readonly nearest: (embedding: Float32Array, wanted: Wanted) => Promise<ReadonlyArray<Neighbour>>
  /** The nearest items of each of several embeddings, row-major. */
  readonly nearestOfEach: (
    embeddings: Float32Array,
    wanted: Omit<Wanted, "mmr">
  ) => Promise<ReadonlyArray<ReadonlyArray<Neighbour>>>
}
