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

/** Caches that are reported on: as many duplicates as there are, and half of 3,000 questions that have none. */
export const REPORTED: ReadonlyArray<Sizes> = [
  { cached: 3000, duplicates: 3000, others: 1500 },
  { cached: 3000, duplicates: 3000, others: 3000 },
  { cached: 10_000, duplicates: 10_000, others: 1500 },
  { cached: 10_000, duplicates: 10_000, others: 4500 }
]
const BUDGETS = [0.01, 0.05]
/** Draws whose look-ups are put together. */
const DRAWS = 2
const FIRST_SEED = 1001

export interface Reported {
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
