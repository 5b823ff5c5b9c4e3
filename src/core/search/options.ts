/** What a caller may ask of a search. */

import type { Filter } from "./filter/filter.ts"

export const MODES = ["auto", "exact", "flat", "binary", "ivf", "hnsw", "pq"] as const

/**
 * How candidates are found.
 *
 * - `auto` takes the cheapest setting of the others that was measured to reach `recall`; while nothing was measured,
 *   an exact search where a recall is asked for, else `flat` or `pq`. It walks a graph where that was measured to cost
 *   least, without a filter or `minScore` and for up to 100 hits.
 * - `exact` scores every stored vector: O(rows x dimensions).
 * - `flat` scans 256-bit codes with a float query (RaBitQ estimator, arXiv 2405.12497, over ITQ
 *   codes) and scores the best `rerank` of them exactly.
 * - `binary` scans the same codes by Hamming distance.
 * - `ivf` scans as `flat` or `pq` does, but only the `nprobe` inverted lists whose centroids are nearest to the query, and more
 *   where those hold fewer than `k`. Under a filter it goes on as far as what passes is farther away than what does not,
 *   and scans all of the codes where that takes less time; so it does with `minScore`, of which a number of lists tells
 *   nothing, and while there are no lists.
 * - `hnsw` walks the graph of a collection with `index: "hnsw"` and scores what it finds exactly. Rows that are not in
 *   the graph yet are scanned. While more than a few per cent of the rows are not, or three in four of those in it
 *   have been deleted, and without the native addon, it searches as `flat` does.
 * - `pq` scans product codes with a float query (asymmetric distances, Jegou et al., PAMI 2011) and scores the best
 *   `rerank` of them exactly, or without vectors from the tables of the scan before they were rounded. Until codebooks
 *   are trained it scores every vector.
 *
 * `flat`, `binary` and `hnsw` are for collections whose codes are 256 signs, `pq` for those whose codes are `pq`, and `ivf`
 * for either.
 */
export type Mode = (typeof MODES)[number]

/** How hits are made unlike one another. */
export interface MmrOptions {
  /** Weight of nearness to the query against unlikeness to the hits before, 0..1. Default 0.7; 1 is no change. */
  readonly lambda?: number | undefined
  /** Nearest entries that hits are chosen from, k..1024. Default `max(50, 4 k)`. */
  readonly fetchK?: number | undefined
  /**
   * Chooses hits of nearly the same worth in less time: from those that are near enough to the query to be chosen, by copies
   * of one byte a component, and beyond 128 hits compared with a part of those before. The exact choice is made where that is
   * not worth as much: with a lambda under 0.7 (0.8 for more than 64), of up to 64 candidates, and of fewer than four for
   * each. Default false.
   */
  readonly fast?: boolean | undefined
}

export interface SearchOptions {
  /** Hits wanted, 1..1024. Default 10. */
  readonly k?: number | undefined
  /** Default `"auto"`. */
  readonly mode?: Mode | undefined
  /**
   * Mean share of the exact `k` nearest that searches are to find, 0.5..1: with mode `auto`, the engine takes the
   * cheapest setting that was measured to reach it on a sample of the collection. 1 searches exactly. Needs stored
   * vectors, and leaves no room for `rerank`, `nprobe` and `efSearch`: each is `InvalidParameter` beside it. Default:
   * about 0.99. Under a filter more candidates are scored, up to 1,024: of entries that all lie far from the query, as
   * where a filter leaves out what is near it, fewer may be found than were asked for.
   */
  readonly recall?: number | undefined
  /**
   * Candidates scored again with their stored vectors, 0..16384; 0 returns the estimates of the
   * scan. Default `max(128, 10 k)` for `flat`, `ivf` and `pq`, `efSearch` for `hnsw`, 0 for `binary`, and what was
   * measured for `auto`, under a filter more. A store without vectors (`precision: "none"`) has 0, but for `pq`.
   */
  readonly rerank?: number | undefined
  /** Inverted lists that mode `ivf` visits, at least 1; under a filter more. Default: a quarter of them. */
  readonly nprobe?: number | undefined
  /** Nearest rows that a walk of mode `hnsw` keeps, 1..4096, and at least `k`. Default `max(64, 2 k)`. */
  readonly efSearch?: number | undefined
  /**
   * Least score of a hit: with the largest `k`, all entries that are so near, up to 1,024. With `cosine`, codes are
   * passed by whose estimate is more than 0.1 below it: estimates err by less for nearly all of them. Of up to 100 hits
   * mode `auto` finds the share that `recall` asks for, in lists where there are any.
   */
  readonly minScore?: number | undefined
  /**
   * Chooses hits by maximal marginal relevance: each time the entry for which `lambda * score - (1 - lambda) * largest
   * score against a hit before it` is largest, in that order. The score between entries is the collection's own: cosine
   * similarity, inner product, or minus the squared distance. Needs stored vectors.
   */
  readonly mmr?: MmrOptions | undefined
  /** Which entries may be found: conditions on the collection's fields. Default: all. */
  readonly filter?: Filter | undefined
  /** Cancels the search: native work stops between blocks, or steps of a walk, and the call fails with `Cancelled`. */
  readonly signal?: AbortSignal | undefined
  /**
   * Milliseconds that the search may take, waiting and embedding included, 1..2^31 - 1: native work stops between
   * blocks and the call fails with `DeadlineExceeded`. Default: no limit.
   */
  readonly timeout?: number | undefined
}

export const MAX_K = 1024
/** Most candidates that diverse hits are chosen from. */
export const MAX_FETCH = 1024
export const MAX_RERANK = 16_384
export const LEAST_RECALL = 0.5
export const MAX_NPROBE = 2 ** 20
export const MAX_EF_SEARCH = 4096
