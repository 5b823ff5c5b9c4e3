/** What a caller may ask of a search. */

import type { Filter } from "./filter/filter.ts"

export const MODES = ["auto", "exact", "flat", "binary", "ivf"] as const

/**
 * How candidates are found.
 *
 * - `auto` takes the cheapest setting of the others that was measured to reach `recall`; while nothing was measured,
 *   an exact search where a recall is asked for, else `flat`.
 * - `exact` scores every stored vector: O(rows x dimensions).
 * - `flat` scans 256-bit codes with a float query (RaBitQ estimator, arXiv 2405.12497, over ITQ
 *   codes) and scores the best `rerank` of them exactly.
 * - `binary` scans the same codes by Hamming distance.
 * - `ivf` scans as `flat` does, but only the `nprobe` inverted lists whose centroids are nearest to the query; all of
 *   the codes while there are no lists.
 */
export type Mode = (typeof MODES)[number]

export interface SearchOptions {
  /** Hits wanted, 1..1024. Default 10. */
  readonly k?: number | undefined
  /** Default `"auto"`. */
  readonly mode?: Mode | undefined
  /**
   * Mean share of the exact `k` nearest that searches are to find, 0.5..1: with mode `auto`, the engine takes the
   * cheapest setting that was measured to reach it on a sample of the collection. 1 searches exactly. Needs stored
   * vectors. Default: about 0.99.
   */
  readonly recall?: number | undefined
  /**
   * Candidates scored again with their stored vectors, 0..16384; 0 returns the estimates of the
   * scan. Default `max(128, 10 k)` for `flat` and `ivf`, 0 for `binary`, and what was measured for `auto`. A store
   * without vectors (`precision: "none"`) has 0.
   */
  readonly rerank?: number | undefined
  /** Inverted lists that mode `ivf` visits, at least 1. Default: a quarter of them. */
  readonly nprobe?: number | undefined
  /** Which entries may be found: conditions on the collection's fields. Default: all. */
  readonly filter?: Filter | undefined
  /** Cancels the search: native work stops between blocks and the call fails with `Cancelled`. */
  readonly signal?: AbortSignal | undefined
  /**
   * Milliseconds that the search may take, waiting and embedding included, 1..2^31 - 1: native work stops between
   * blocks and the call fails with `DeadlineExceeded`. Default: no limit.
   */
  readonly timeout?: number | undefined
}

export const MAX_K = 1024
export const MAX_RERANK = 16_384
export const LEAST_RECALL = 0.5
export const MAX_NPROBE = 2 ** 20
