/** What a caller may ask of a search. */

export const MODES = ["exact", "flat", "binary", "ivf"] as const

/**
 * How candidates are found.
 *
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
  /** Default `"flat"`. */
  readonly mode?: Mode | undefined
  /**
   * Candidates scored again with their stored vectors, 0..16384; 0 returns the estimates of the
   * scan. Default `max(128, 10 k)` for `flat` and 0 for `binary`. A store without vectors
   * (`precision: "none"`) has 0.
   */
  readonly rerank?: number | undefined
  /** Inverted lists that mode `ivf` visits, at least 1. Default: a sixth of them. */
  readonly nprobe?: number | undefined
  /** Cancels the search: native work stops between blocks and the call fails with `Cancelled`. */
  readonly signal?: AbortSignal | undefined
}

export const MAX_K = 1024
export const MAX_RERANK = 16_384
export const MAX_NPROBE = 2 ** 20
