/** The figures that the verifier is held to, on questions that nothing was trained on. */
import { type CacheCalibration, leastProbability } from "../../src/core/cache/verify/budget.ts"
import { FEATURES } from "../../src/core/cache/verify/features.ts"
import { type Forest, Trees } from "../../src/core/cache/verify/forest.ts"
import { clopperPearson } from "../../src/core/cache/verify/interval.ts"
import type { Judging } from "../../src/core/cache/verify/judging.ts"
import type { Questions } from "../../src/core/cache/verify/labelled.ts"
import { staticEmbedder } from "../../src/core/embed/static.ts"
import { judgedLookUps, nearestScored, type Sizes, scoredBy } from "./judged.ts"
import { foundWithin, servedFrom } from "./measure.ts"
import { textHash } from "./pairs.ts"

/**
 * Caches that are reported on: as many duplicates as there are, and 1,500 questions that have none, where a threshold does
 * what it did when the figures to reach were set; then as many of these as of those.
 */
export const REPORTED: ReadonlyArray<Sizes> = [
  { cached: 3000, duplicates: 3000, others: 1500 },
  { cached: 3000, duplicates: 3000, others: 3000 },
  { cached: 10_000, duplicates: 10_000, others: 1500 },
  { cached: 10_000, duplicates: 10_000, others: 4500 }
]
const BUDGETS = [0.01, 0.05]
/** Parts of the questions of which one is cached nearly whole: what is asked for has its near misses cached then. */
const DENSE_PARTS = 10
const DENSE_SHARE = 0.8
/** Draws whose look-ups are put together. */
const DRAWS = 2
const FIRST_SEED = 1001

interface Reported {
  readonly name: string
  /** A share. */
  readonly value: number
  /** The same of the best threshold on cosines. */
  readonly threshold?: number
  /** Look-ups behind it. */
  readonly lookUps: number
}

export async function* figuresOf(
  judging: Judging,
  questions: Questions,
  forest: Forest,
  calibration: CacheCalibration,
  sizes: Sizes
): AsyncGenerator<Reported> {
  const vectors = await staticEmbedder().embed(questions.texts)
  const lookUps = []
  for (let draw = 0; draw < DRAWS; draw++) {
    lookUps.push(...(await judgedLookUps(judging, questions, vectors, sizes, FIRST_SEED + draw)))
  }
  const trees = new Trees(forest, FEATURES.length)
  const scored = lookUps.map((lookUp) => scoredBy(trees, lookUp))
  const nearest = lookUps.map(nearestScored)
  const duplicates = lookUps.filter(({ duplicate }) => duplicate).length
  const of = `${sizes.cached} cached, ${Math.round((100 * duplicates) / lookUps.length)} % duplicates`
  const count = lookUps.length
  for (const budget of BUDGETS) {
    const within = `wrong / look-ups <= ${100 * budget} %`
    const threshold = foundWithin(nearest, budget)
    yield { name: `found at ${within}, ${of}`, value: foundWithin(scored, budget), threshold, lookUps: count }
    const least = leastProbability(calibration, { maxFalseHitRate: budget, cached: sizes.cached })
    if (least === undefined) continue
    const { wrong, found } = servedFrom(scored, Math.log(least / (1 - least)))
    yield { name: `found by the calibrated cut for ${within}, ${of}`, value: found, lookUps: count }
    yield { name: `wrong / look-ups by that cut, ${of}`, value: wrong / count, lookUps: count }
    yield { name: "  low end of its interval of 95 %", value: clopperPearson(wrong, count).low, lookUps: count }
  }
}

/**
 * What the calibrated cuts do where near misses are denser than where they were measured: of a small part of the
 * questions, with all that it is joined with, most are cached.
 */
export async function* denseFigures(
  judging: Judging,
  { texts, clusters, components }: Questions,
  forest: Forest,
  calibration: CacheCalibration
): AsyncGenerator<Reported> {
  const vectors = await staticEmbedder().embed(texts)
  const isIn = ([first]: ReadonlyArray<number>): boolean => textHash(texts[components[first!]!]!) % DENSE_PARTS === 0
  const own = clusters.filter(isIn)
  const cached = Math.floor(DENSE_SHARE * own.length)
  const sizes = { cached, duplicates: cached, others: cached }
  const part = { texts, clusters: own, components }
  const lookUps = await judgedLookUps(judging, part, vectors, sizes, FIRST_SEED)
  const trees = new Trees(forest, FEATURES.length)
  const scored = lookUps.map((lookUp) => scoredBy(trees, lookUp))
  const others = lookUps.filter(({ duplicate }) => !duplicate)
  // As many duplicates as others, as everywhere.
  const near = others.filter(({ hasNearMiss }) => hasNearMiss).length / others.length / 2
  for (const budget of BUDGETS) {
    for (const told of [undefined, near]) {
      const least = leastProbability(calibration, { maxFalseHitRate: budget, cached, near: told })
      if (least === undefined) continue
      const servedOf = (duplicate: boolean) => {
        const some = scored.filter((one) => one.duplicate === duplicate)
        const { wrong, found } = servedFrom(some, Math.log(least / (1 - least)))
        return { wrong: wrong / some.length, found }
      }
      const { wrong, found } = servedOf(true)
      const by = told === undefined ? "" : `, told of ${Math.round(100 * near)} % near misses`
      const name = `by the cut for ${100 * budget} %, ${cached} of ${own.length} cached${by}`
      yield { name: `wrong / look-ups ${name}`, value: (wrong + servedOf(false).wrong) / 2, lookUps: scored.length }
      yield { name: `found ${name}`, value: found, lookUps: scored.length }
    }
  }
}
