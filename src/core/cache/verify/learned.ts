/** The verifier that ships: hard gates, then boosted trees over cheap features of texts and vectors. */
import { staticTable } from "../../embed/table.ts"
import { FEATURES } from "./features.ts"
import { Trees } from "./forest.ts"
import { Judging } from "./judging.ts"
import { shippedModel } from "./model.ts"
import type { SimilarityScale } from "./scale.ts"
import { onScale } from "./scale.ts"
import type { Candidate, Judgement, Refusal, Verification, Verifier } from "./verifier.ts"

/** Another model, other features or other gates have another: calibrations are of one. */
const LEARNED_ID = "learned@1"

export interface LearnedVerifierOptions {
  /**
   * Similarities of another embedder than the static one, as `calibrateCache` measured them: without it the model takes
   * them for those of the static embedder.
   */
  readonly scale?: SimilarityScale | undefined
}

/**
 * A verifier that answers at once after its first call, which reads its model. It judges the five nearest candidates;
 * those behind them are neither the best nor refused. Texts of over 4,096 characters or 512 words are refused as
 * `unsure` unless they are equal. Rejects with `StorageFailure` or `ImageInvalid` when its files cannot be read.
 */
export const learnedVerifier = ({ scale }: LearnedVerifierOptions = {}): Verifier => {
  let ready: { readonly judging: Judging; readonly trees: Trees } | undefined
  const judge = (query: string, candidates: ReadonlyArray<Candidate>, cached: number): Judgement => {
    const { judging, trees } = ready!
    const scaled = scale === undefined ? candidates : candidates.map((candidate) => onScale(scale, candidate))
    const rows = judging.read(query, scaled, cached)
    const refused: Array<Refusal> = []
    let best: Verification | undefined
    for (let index = 0; index < rows; index++) {
      const gate = judging.gates[index]
      if (gate !== undefined) {
        refused.push({ index, gate })
        continue
      }
      const probability = sigmoid(trees.logOdds(judging.features, index * FEATURES.length))
      if (best === undefined || probability > best.probability) best = { index, probability }
    }
    return { best, refused }
  }
  return {
    id: LEARNED_ID,
    verify: (query, candidates, cached) => {
      if (ready !== undefined) return judge(query, candidates, cached)
      return Promise.all([staticTable(), shippedModel()]).then(([table, { forest }]) => {
        ready ??= { judging: new Judging(table), trees: new Trees(forest, FEATURES.length) }
        return judge(query, candidates, cached)
      })
    }
  }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
