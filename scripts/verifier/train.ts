/**
 * Trains the verifier that ships: `npm run verifier:train -- --pairs questions.tsv.gz`.
 *
 * One half of the pairs is trained on, and gives the model, its calibration and every choice; the other half is only
 * reported on. Writes `data/verifier/model.json` and `calibration.json`, which ship together: a calibration is of the scale of
 * its model. The same pairs give the same files, but for the last bits of cosines, which are those of the processor.
 */
import { writeFile } from "node:fs/promises"
import { parseArgs } from "node:util"
import { type CacheCalibration, cutCurve } from "../../src/core/cache/verify/budget.ts"
import { FEATURES } from "../../src/core/cache/verify/features.ts"
import { DEPTH, type Forest, Trees } from "../../src/core/cache/verify/forest.ts"
import { Judging } from "../../src/core/cache/verify/judging.ts"
import { type Questions, randomOf } from "../../src/core/cache/verify/labelled.ts"
import { learnedVerifier } from "../../src/core/cache/verify/learned.ts"
import { staticEmbedder } from "../../src/core/embed/static.ts"
import { staticTable } from "../../src/core/embed/table.ts"
import { boost } from "./boosting.ts"
import { examplesOf, FOLDS, type JudgedLookUp, judgedLookUps, scoredBy } from "./judged.ts"
import { foundWithin, type Scored } from "./measure.ts"
import { packed } from "./packed.ts"
import { halves, readPairs } from "./pairs.ts"
import { fittedPlatt, recalibrated } from "./platt.ts"
import { figuresOf, REPORTED } from "./report.ts"

const { values: flags } = parseArgs({ options: { pairs: { type: "string" } } })
if (flags.pairs === undefined) throw new Error("--pairs: wanted a file of label, question, question")

const OPTIONS = { trees: 220, depth: DEPTH, rate: 0.12, leastWeight: 5, damping: 5, columns: 0.5, sample: 0.5 }
/** Numbers of cached questions that are trained and calibrated at, with draws of each: small caches have few look-ups. */
const SIZES = [
  { cached: 1000, draws: 2 },
  { cached: 3000, draws: 2 },
  { cached: 10_000, draws: 1 },
  { cached: 27_000, draws: 1 }
]
/** What cuts come from: in small caches near misses are rare, so these are drawn more often. */
const CURVES = [
  { cached: 1000, draws: 8 },
  { cached: 3000, draws: 4 },
  { cached: 10_000, draws: 2 },
  { cached: 27_000, draws: 1 }
]
const EMBEDDER = staticEmbedder()
const VERIFIER = learnedVerifier().id
const FOLDER = new URL("../../data/verifier/", import.meta.url)

const judging = new Judging(await staticTable())
const { develop, report } = halves(readPairs(flags.pairs))
const vectors = await EMBEDDER.embed(develop.texts)

/** Look-ups at every size: as many questions that are not cached as there are duplicates, where there are as many. */
const drawn = async (questions: Questions, drawnSizes: typeof SIZES, firstSeed: number) => {
  const found: Array<{ readonly cached: number; readonly lookUps: ReadonlyArray<JudgedLookUp> }> = []
  let seed = firstSeed
  for (const { cached, draws } of drawnSizes) {
    const sizes = { cached: Math.min(cached, questions.clusters.length - 500), duplicates: cached, others: 4500 }
    const lookUps: Array<JudgedLookUp> = []
    for (let draw = 0; draw < draws; draw++) {
      lookUps.push(...(await judgedLookUps(judging, questions, vectors, sizes, seed++)))
    }
    found.push({ cached: sizes.cached, lookUps })
  }
  return found
}

const trained = (lookUps: ReadonlyArray<JudgedLookUp>, seed: number): Forest =>
  boost(examplesOf(lookUps), OPTIONS, randomOf(seed))

const training = (await drawn(develop, SIZES, 1)).flatMap(({ lookUps }) => lookUps)
console.log(`${training.length} look-ups to train on`)
const folds: Array<Trees> = []
for (let fold = 0; fold < FOLDS; fold++) {
  const others = training.filter((lookUp) => lookUp.fold !== fold)
  folds.push(new Trees(trained(others, fold + 1), FEATURES.length))
  console.log(`trained without part ${fold + 1} of ${FOLDS}`)
}

/** Scored by the forest that never saw the question, nor any that is joined with it. */
const unseen = (lookUp: JudgedLookUp): Scored => scoredBy(folds[lookUp.fold]!, lookUp)

const held = await drawn(develop, SIZES, 101)
const platt = fittedPlatt(held.flatMap(({ lookUps }) => lookUps.map(unseen)))
console.log(`log-odds are ${platt.slope.toFixed(3)} x + ${platt.offset.toFixed(3)}`)
for (const { cached, lookUps } of held) {
  const scored = lookUps.map(unseen)
  const found = [0.01, 0.05].map((budget) => foundWithin(scored, budget).toFixed(3))
  console.log(`cross-validated, ${cached} cached: ${found.join(" ")}`)
}

const forest = recalibrated(trained(training, FOLDS + 1), platt)
const calibration: CacheCalibration = {
  verifier: VERIFIER,
  embedder: EMBEDDER.id,
  curves: (await drawn(develop, CURVES, 201)).map(({ cached, lookUps }) =>
    cutCurve(
      cached,
      lookUps.map((lookUp) => {
        const { score, right, duplicate } = unseen(lookUp)
        const logOdds = score === undefined ? undefined : platt.slope * score + platt.offset
        const probability = logOdds === undefined ? undefined : 1 / (1 + Math.exp(-logOdds))
        return { probability, right, duplicate, hasNearMiss: lookUp.hasNearMiss }
      })
    )
  )
}
const line = (value: unknown): string => `${JSON.stringify(value)}\n`
await writeFile(new URL("model.json", FOLDER), line(packed(VERIFIER, forest)))
await writeFile(new URL("calibration.json", FOLDER), line(calibration))

for (const sizes of REPORTED) {
  for await (const { name, value } of figuresOf(judging, report, forest, calibration, sizes)) {
    console.log(`${name}: ${value}`)
  }
}
