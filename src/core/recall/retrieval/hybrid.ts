/** Relevance of candidates by similarity, utility, class and age together. */
import type { Weights } from "../weights.ts"
import type { Explanation } from "./recalled.ts"

/** A candidate as hybrid retrieval weighs it. */
interface HybridCandidate {
  /** Cosine to the query. */
  readonly similarity: number
  /** -1..1. */
  readonly utility: number
  /** What the bias of its class adds to that. */
  readonly bias: number
  /** Whether it is of the class that is asked for, or none is. */
  readonly agrees: boolean
  readonly ageHours: number
}

interface Weighing {
  readonly weights: Weights
  /** Share of relevance that goes with an hour, in its limit. */
  readonly decay: number
}

/** An item's utility with the bias of its class, -1..1. */
export const usefulness = (utility: number, bias: number): number => Math.min(1, Math.max(-1, utility + bias))

/**
 * `(ws s + wu u + wc c) exp(-decay * age)`: `s` is the similarity scaled so that the candidates span 0 to 1 (all 1 when
 * they are equal), `u` the utility with its bias from -1..1 to 0..1, `c` whether the class agrees.
 */
export const relevances = (
  candidates: ReadonlyArray<HybridCandidate>,
  { weights, decay }: Weighing
): ReadonlyArray<Explanation & { readonly relevance: number }> => {
  const least = candidates.reduce((low, { similarity }) => Math.min(low, similarity), Number.POSITIVE_INFINITY)
  const most = candidates.reduce((high, { similarity }) => Math.max(high, similarity), Number.NEGATIVE_INFINITY)
  const span = most - least
  return candidates.map(({ similarity, utility, bias, agrees, ageHours }) => {
    const scaledSimilarity = span > 0 ? (similarity - least) / span : 1
    const classAgreement = agrees ? 1 : 0
    const recency = Math.exp(-decay * Math.max(0, ageHours))
    const sum =
      weights.similarity * scaledSimilarity +
      (weights.utility * (1 + usefulness(utility, bias))) / 2 +
      weights.class * classAgreement
    return { similarity, scaledSimilarity, utility, bias, classAgreement, recency, relevance: sum * recency }
  })
}
