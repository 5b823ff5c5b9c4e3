/** What hybrid retrieval weighs, so that the weights sum to 1. */
import { finite, object } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"

/** None negative, not all zero; each is divided by their sum. */
export interface HybridWeights {
  /** Of the similarity to the query, scaled so that the candidates span 0 to 1. Default 0.65. */
  readonly similarity?: number | undefined
  /** Of the utility with the bias of its class, scaled from -1..1 to 0..1. Default 0.20. */
  readonly utility?: number | undefined
  /** Of being of the class that is asked for. Default 0.10. */
  readonly class?: number | undefined
}

/** Each 0..1; their sum is 1. */
export interface Weights {
  readonly similarity: number
  readonly utility: number
  readonly class: number
}

const USUAL: Weights = { similarity: 0.65, utility: 0.2, class: 0.1 }

/** The weights, normalised; throws `InvalidParameter`. */
export const weightsOf = (weights: HybridWeights = {}): Weights => {
  const {
    similarity = USUAL.similarity,
    utility = USUAL.utility,
    class: ofClass = USUAL.class
  } = object("weights", weights)
  const wanted = { similarity, utility, class: ofClass }
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  for (const [name, weight] of Object.entries(wanted)) {
    if (finite(`weights.${name}`, weight) < 0) throw wrong(`weights.${name}`, "wanted 0 or more")
  }
  const sum = wanted.similarity + wanted.utility + wanted.class
  if (!(sum > 0 && Number.isFinite(sum))) throw wrong("weights", "their sum is not a positive number")
  return { similarity: wanted.similarity / sum, utility: wanted.utility / sum, class: wanted.class / sum }
}
