/** What a retrieval returns, and what made up each score. */
import type { Filter } from "../../search/filter/filter.ts"
import type { PoolItems } from "../items.ts"
import type { RecallIndex } from "../options.ts"
import type { RecallItem } from "../pool-rows.ts"
import type { Tensor } from "../tensor.ts"

/** An embedding, a text for the pool's embedder, or a tensor for its encoder. */
export type RecallQuery = ArrayLike<number> | string | { readonly tensor: Tensor }

/** Parts of a score: those that a retrieval has no use for are absent. */
export interface Explanation {
  /** Cosine to the query. */
  readonly similarity?: number
  /** The similarity on the scale of the candidates: 0 the least of them, 1 the largest. */
  readonly scaledSimilarity?: number
  /** What the item itself is worth, -1..1. */
  readonly utility?: number
  /** What feedback on its class adds to the utility, before their sum is kept to -1..1. */
  readonly bias?: number
  /** 1 when the item is of the class that is asked for, or none is; else 0. */
  readonly classAgreement?: number
  /** What its age leaves of its relevance: 1 new, towards 0. */
  readonly recency?: number
  /** Weighted sum times recency, 0..1. */
  readonly relevance?: number
  /** Largest similarity to an item that was chosen before it; absent for the first. */
  readonly nearestChosen?: number
}

export interface Recalled extends RecallItem {
  readonly score: number
  readonly explanation: Explanation
}

export interface RetrieveOptions {
  /** Items at most, 1..1024. Default: the pool's `retrievalLimit`. */
  readonly k?: number | undefined
  /** Which items may be found: conditions on `class`, `utility`, `outcomes`, `added`, `used` and fields of the caller's own. */
  readonly filter?: Filter | undefined
  /** Cancels the retrieval: it rejects with `Cancelled`. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds that it may take: it rejects with `DeadlineExceeded` then. Default: no limit. */
  readonly timeout?: number | undefined
}

export interface SimilarOptions extends RetrieveOptions {
  /** Least cosine, -1..1. Default: none. */
  readonly minSimilarity?: number | undefined
  /** Finds with this index, or rejects with `IndexNotBuilt`. Default: the pool's choice. */
  readonly index?: RecallIndex | undefined
}

/** A row that was chosen, with its score. */
export interface Chosen {
  readonly row: number
  /** Of the row when it was found. */
  readonly generation: number
  readonly score: number
  readonly explanation: Explanation
}

/**
 * The item of a row that was chosen, as callers see it. Retrievals are remembered and returned again: they are frozen, so
 * that nobody changes what others get.
 */
export const recalled = (items: PoolItems, { row, score, explanation }: Chosen): Recalled => {
  const item = items.read(row)
  for (const part of [item.payload, item.fields, item.spectrum]) freezeDeeply(part)
  return Object.freeze(Object.assign(item, { score, explanation: Object.freeze(explanation) }))
}

/** Freezes a JSON value; bytes, which cannot be frozen, stay as they are. */
const freezeDeeply = (value: unknown): void => {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return
  for (const part of Object.values(value)) freezeDeeply(part)
  Object.freeze(value)
}
