/** Calibration on a user's own labelled pairs, with the embedder and the verifier that will be used. */
import type { Embedder } from "../../embed/embedder.ts"
import { staticEmbedder } from "../../embed/static.ts"
import { InvalidParameter } from "../../errors.ts"
import { type CacheCalibration, cutCurve, type Served } from "./budget.ts"
import { type LabelledPair, questionsOf, randomOf } from "./labelled.ts"
import { learnedVerifier } from "./learned.ts"
import { type KnownLookUp, knownLookUps } from "./look-ups.ts"
import { measuredScale, type SimilarityScale } from "./scale.ts"
import type { Verifier } from "./verifier.ts"

export interface CalibrateOptions {
  /** Default: the static embedder. */
  readonly embedder?: Embedder | undefined
  /**
   * Default: the learned verifier. One that is given sees the similarities of `embedder` as they are.
   */
  readonly verifier?: Verifier | undefined
  /** Of what is drawn at random. Default 1. */
  readonly seed?: number | undefined
}

/** Clusters with two questions that are the least to learn anything from. */
const LEAST_DUPLICATES = 20
/** Shares of all clusters that are cached, one curve each. */
const SHARES = [0.1, 0.3, 0.8]
/** Draws of a curve: pairs are few, so small caches are drawn more than once. */
const DRAWS = 3

/**
 * Measures how sure the verifier has to be: of each cluster of same questions one is cached and another asked, and
 * questions of clusters that are not cached are asked as well. Rejects with `InvalidParameter` when fewer than 20
 * clusters have two questions.
 */
export const calibrateCache = async (
  pairs: Iterable<LabelledPair>,
  { embedder = staticEmbedder(), verifier, seed = 1 }: CalibrateOptions = {}
): Promise<CacheCalibration> => {
  const questions = questionsOf(pairs)
  const { texts, clusters } = questions
  const several = clusters.filter(({ length }) => length > 1).length
  if (several < LEAST_DUPLICATES) {
    const reason = `wanted ${LEAST_DUPLICATES} clusters of same questions, got ${several}`
    throw new InvalidParameter({ parameter: "pairs", reason })
  }
  const random = randomOf(seed)
  const vectors = await embedder.embed(texts)
  const drawn: Array<{ readonly cached: number; readonly lookUps: ReadonlyArray<KnownLookUp> }> = []
  for (const share of SHARES) {
    const cached = Math.max(LEAST_DUPLICATES / 2, Math.round(share * clusters.length))
    const sizes = { cached, duplicates: Math.ceil(share * several), others: cached }
    const lookUps: Array<KnownLookUp> = []
    for (let draw = 0; draw < DRAWS; draw++) lookUps.push(...(await knownLookUps(questions, vectors, sizes, random)))
    drawn.push({ cached, lookUps })
  }
  const lookUps = drawn.flatMap((one) => one.lookUps)
  const scale = verifier === undefined ? await scaleOf(embedder, texts, vectors, lookUps) : undefined
  const judge = verifier ?? learnedVerifier({ scale })
  const curves = []
  for (const { cached, lookUps } of drawn) curves.push(cutCurve(cached, await servedBy(judge, lookUps, texts, cached)))
  return { verifier: judge.id, embedder: embedder.id, ...(scale && { scale }), curves }
}

/** What the best candidate of each look-up is, by this verifier. */
const servedBy = async (
  verifier: Verifier,
  lookUps: ReadonlyArray<KnownLookUp>,
  texts: ReadonlyArray<string>,
  cached: number
): Promise<ReadonlyArray<Served>> => {
  const served: Array<Served> = []
  for (const { question, candidates, right, duplicate, hasNearMiss } of lookUps) {
    const { best } = await verifier.verify(texts[question]!, candidates, cached)
    const isRight = best !== undefined && best.index === right
    served.push({ probability: best?.probability, right: isRight, duplicate, hasNearMiss })
  }
  return served
}

/** How similarities of an embedder read in those of the static one, over the candidates of some look-ups. */
const scaleOf = async (
  embedder: Embedder,
  texts: ReadonlyArray<string>,
  vectors: Float32Array,
  lookUps: ReadonlyArray<KnownLookUp>
): Promise<SimilarityScale | undefined> => {
  const reference = staticEmbedder()
  if (embedder.id === reference.id) return undefined
  const pairs = lookUps.flatMap(({ question, candidates }) =>
    candidates.map((other) => [question, other.question] as const)
  )
  const similarities = (of: Float32Array): ReadonlyArray<number> => {
    const dimensions = of.length / texts.length
    return pairs.map(([a, b]) => {
      let sum = 0
      for (let c = 0; c < dimensions; c++) sum += of[a * dimensions + c]! * of[b * dimensions + c]!
      return sum
    })
  }
  return measuredScale(similarities(vectors), similarities(await reference.embed(texts)))
}
