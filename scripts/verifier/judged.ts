/** Known look-ups with what the verifier sees of them: features and gates of every candidate. */
import { FEATURES } from "../../src/core/cache/verify/features.ts"
import type { Trees } from "../../src/core/cache/verify/forest.ts"
import type { Judging } from "../../src/core/cache/verify/judging.ts"
import { type Questions, randomOf } from "../../src/core/cache/verify/labelled.ts"
import { knownLookUps } from "../../src/core/cache/verify/look-ups.ts"
import type { Examples } from "./boosting.ts"
import type { Scored } from "./measure.ts"
import { textHash } from "./pairs.ts"

/** What is cached and asked at most, as `knownLookUps` takes it. */
export type Sizes = Parameters<typeof knownLookUps>[2]

export interface JudgedLookUp {
  /** A row of features a candidate. */
  readonly features: Float32Array
  readonly isRefused: ReadonlyArray<boolean>
  readonly right: number
  readonly duplicate: boolean
  readonly hasNearMiss: boolean
  /** Part of the data for cross-validation: that of the component of the question. */
  readonly fold: number
  /** Cosine of the nearest candidate. */
  readonly similarity: number
}

/** Parts of the half that is trained on: each is judged by forests that saw the others. */
export const FOLDS = 4

export const judgedLookUps = async (
  judging: Judging,
  questions: Questions,
  vectors: Float32Array,
  sizes: Sizes,
  seed: number
): Promise<ReadonlyArray<JudgedLookUp>> => {
  const { texts, components } = questions
  const found = await knownLookUps(questions, vectors, sizes, randomOf(seed))
  return found.map(({ question, candidates, right, duplicate, hasNearMiss }) => {
    const rows = judging.read(texts[question]!, candidates, sizes.cached)
    return {
      features: judging.features.slice(0, rows * FEATURES.length),
      isRefused: judging.gates.map((gate) => gate !== undefined),
      right,
      duplicate,
      hasNearMiss,
      fold: textHash(texts[components[question]!]!) % FOLDS,
      similarity: candidates[0]!.similarity
    }
  })
}

/** Candidates that no gate refuses, as examples to train on. */
export const examplesOf = (lookUps: ReadonlyArray<JudgedLookUp>): Examples => {
  const width = FEATURES.length
  const taken = lookUps.flatMap((lookUp) =>
    lookUp.isRefused.flatMap((isRefused, row) => (isRefused ? [] : [{ lookUp, row }]))
  )
  const values = new Float32Array(taken.length * width)
  for (const [i, { lookUp, row }] of taken.entries()) {
    values.set(lookUp.features.subarray(row * width, (row + 1) * width), i * width)
  }
  const labels = Uint8Array.from(taken, ({ lookUp, row }) => (row === lookUp.right ? 1 : 0))
  return { features: width, rows: taken.length, values, labels }
}

/** The best candidate of a look-up, by trees. */
export const scoredBy = (trees: Trees, { features, isRefused, right, duplicate }: JudgedLookUp): Scored => {
  let best = -1
  let most = Number.NEGATIVE_INFINITY
  for (const [row, refused] of isRefused.entries()) {
    if (refused) continue
    const score = trees.logOdds(features, row * FEATURES.length)
    if (score > most) {
      most = score
      best = row
    }
  }
  return { score: best < 0 ? undefined : most, right: best >= 0 && best === right, duplicate }
}

/** The nearest candidate by its cosine: what a threshold serves. */
export const nearestScored = ({ similarity, right, duplicate }: JudgedLookUp): Scored => ({
  score: similarity,
  right: right === 0,
  duplicate
})
