/** The figures that the verifier is held to, on questions that nothing was trained on. */
import { type CacheCalibration, leastProbability } from "../../src/core/cache/verify/budget.ts"
import { calibrateCache } from "../../src/core/cache/verify/calibrate.ts"
import { FEATURES } from "../../src/core/cache/verify/features.ts"
import { type Forest, Trees } from "../../src/core/cache/verify/forest.ts"
import { clopperPearson } from "../../src/core/cache/verify/interval.ts"
import type { Judging } from "../../src/core/cache/verify/judging.ts"
import type { LabelledPair, Questions } from "../../src/core/cache/verify/labelled.ts"
import { staticEmbedder } from "../../src/core/embed/static.ts"
import { judgedLookUps, nearestScored, type Sizes, scoredBy } from "./judged.ts"
import { foundWithin, type Scored, servedFrom } from "./measure.ts"
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
/** Parts that questions are dealt into. */
const PARTS = 20
/** Some of the parts, and the share that is cached of each: what is asked for has its near misses cached then. */
const DENSE = [
  { parts: [0], share: 0.8 },
  { parts: [10, 11], share: 0.36 }
]
/** Parts that calibrations of their own are made of, and other ones that these are held to. */
const CALIBRATED = [
  [0, 1],
  [0, 1, 2, 3, 4]
]
const HELD_TO = [
  { parts: [10, 11], share: 0.8 },
  { parts: [10, 11, 12, 13], share: 2 / 3 }
]
const OWN_BUDGETS = [0.01, 0.02, 0.05]
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

/** The part that a question is in, with all that it is joined with: whatever made it one of the half that is reported on. */
const partOf = ({ texts, components }: Questions, question: number): number =>
  (textHash(texts[components[question]!]!) >>> 1) % PARTS

const clustersIn = (questions: Questions, parts: ReadonlyArray<number>): Questions["clusters"] =>
  questions.clusters.filter(([first]) => parts.includes(partOf(questions, first!)))

/** Look-ups of a cache of so many of these clusters, with all that they are joined with. */
const denseLookUps = async (
  judging: Judging,
  { texts, components }: Questions,
  forest: Forest,
  clusters: Questions["clusters"],
  cached: number
) => {
  const vectors = await staticEmbedder().embed(texts)
  const sizes = { cached, duplicates: cached, others: cached }
  const lookUps = await judgedLookUps(judging, { texts, clusters, components }, vectors, sizes, FIRST_SEED)
  const trees = new Trees(forest, FEATURES.length)
  const scored = lookUps.map((lookUp) => scoredBy(trees, lookUp))
  const others = lookUps.filter(({ duplicate }) => !duplicate)
  // As many duplicates as others, as everywhere.
  const near = others.filter(({ hasNearMiss }) => hasNearMiss).length / others.length / 2
  return { scored, near }
}

/** What a cut does, with as many others as duplicates; nothing is served without one. */
const servedBy = (scored: ReadonlyArray<Scored>, least: number | undefined) => {
  if (least === undefined) return { wrong: 0, found: 0 }
  const servedOf = (duplicate: boolean) => {
    const some = scored.filter((one) => one.duplicate === duplicate)
    const { wrong, found } = servedFrom(some, Math.log(least / (1 - least)))
    return { wrong: wrong / some.length, found }
  }
  const { wrong, found } = servedOf(true)
  return { wrong: (wrong + servedOf(false).wrong) / 2, found }
}

/**
 * What the calibrated cuts do where near misses are denser than where they were measured: of a small part of the
 * questions, with all that it is joined with, many are cached.
 */
export async function* denseFigures(
  judging: Judging,
  questions: Questions,
  forest: Forest,
  calibration: CacheCalibration
): AsyncGenerator<Reported> {
  for (const { parts, share } of DENSE) {
    const own = clustersIn(questions, parts)
    const cached = Math.floor(share * own.length)
    const { scored, near } = await denseLookUps(judging, questions, forest, own, cached)
    for (const budget of BUDGETS) {
      for (const told of [undefined, near]) {
        const least = leastProbability(calibration, { maxFalseHitRate: budget, cached, near: told })
        if (least === undefined) continue
        const { wrong, found } = servedBy(scored, least)
        const by = told === undefined ? "" : `, told of ${Math.round(100 * near)} % near misses`
        const name = `by the cut for ${100 * budget} %, ${cached} of ${own.length} cached${by}`
        yield { name: `wrong / look-ups ${name}`, value: wrong, lookUps: scored.length }
        yield { name: `found ${name}`, value: found, lookUps: scored.length }
      }
    }
  }
}

/** What calibrations of a few pairs do for such caches, of other questions than those they were made of. */
export async function* ownFigures(
  judging: Judging,
  questions: Questions,
  pairs: ReadonlyArray<LabelledPair>,
  forest: Forest
): AsyncGenerator<Reported> {
  const partOfText = new Map(questions.texts.map((text, question) => [text, partOf(questions, question)]))
  for (const parts of CALIBRATED) {
    const own = pairs.filter(({ a }) => parts.includes(partOfText.get(a) ?? -1))
    const calibration = await calibrateCache(own)
    for (const { parts, share } of HELD_TO) {
      const others = clustersIn(questions, parts)
      const cached = Math.floor(share * others.length)
      const { scored } = await denseLookUps(judging, questions, forest, others, cached)
      for (const budget of OWN_BUDGETS) {
        const least = leastProbability(calibration, { maxFalseHitRate: budget, cached })
        const { wrong, found } = servedBy(scored, least)
        const by = `by the cut for ${100 * budget} % of ${own.length} pairs, ${cached} of ${others.length} others cached`
        if (least !== undefined) yield { name: `wrong / look-ups ${by}`, value: wrong, lookUps: scored.length }
        yield { name: `found ${by}`, value: found, lookUps: scored.length }
      }
    }
  }
}
