/** Similarities of one embedder in terms of another's: a curve through pairs of quantiles. */
import type { Candidate } from "./verifier.ts"

export interface SimilarityScale {
  /** Cosines of the embedder in use, increasing. */
  readonly from: ReadonlyArray<number>
  /** What each is with the static embedder, increasing, as long as `from`. */
  readonly to: ReadonlyArray<number>
}

/** The candidate with its similarity as the static embedder would have it. */
export const onScale = (scale: SimilarityScale, { text, similarity }: Candidate): Candidate => ({
  text,
  similarity: scaled(scale, similarity)
})

const scaled = ({ from, to }: SimilarityScale, similarity: number): number => {
  const after = from.findIndex((own) => own >= similarity)
  if (after === 0) return to[0]!
  if (after < 0) return to.at(-1)!
  const [low, high] = [from[after - 1]!, from[after]!]
  const share = high > low ? (similarity - low) / (high - low) : 1
  return to[after - 1]! + share * (to[after]! - to[after - 1]!)
}

/** Steps of a curve that is measured. */
const STEPS = 32

/** The curve that takes quantiles of `own` similarities to the same quantiles of `reference` ones, of the same pairs. */
export const measuredScale = (own: ReadonlyArray<number>, reference: ReadonlyArray<number>): SimilarityScale => {
  const quantiles = (values: ReadonlyArray<number>): Array<number> => {
    const sorted = [...values].sort((a, b) => a - b)
    return Array.from({ length: STEPS + 1 }, (_, step) => sorted[Math.round((step / STEPS) * (sorted.length - 1))]!)
  }
  // An identical text is as near as can be with every embedder.
  return { from: [-1, ...quantiles(own), 1], to: [-1, ...quantiles(reference), 1] }
}
