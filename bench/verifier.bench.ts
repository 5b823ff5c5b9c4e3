/** How many duplicates the verifier finds within an error budget, beside the best threshold on cosines, and what it takes. */

import { halves, readPairs } from "../scripts/verifier/pairs.ts"
import { denseFigures, figuresOf, ownFigures, REPORTED } from "../scripts/verifier/report.ts"
import { Judging, MOST_JUDGED } from "../src/core/cache/verify/judging.ts"
import { shippedModel } from "../src/core/cache/verify/model.ts"
import { StaticEncoder } from "../src/core/embed/static-encode.ts"
import { staticTable } from "../src/core/embed/table.ts"
import { learnedVerifier, shippedCalibration } from "../src/index.ts"
import { readTraps } from "../test/cache/verify/labelled-pairs.ts"
import type { Measured } from "./figure.ts"
import type { Setting } from "./setting.ts"
import { interleave, ratio } from "./timing.ts"

export const about = "the verifier of the semantic cache; --data takes a file of labelled pairs for its quality"

const THRESHOLD = "the best cosine threshold"

export async function* figures({ data }: Setting): AsyncGenerator<Measured> {
  if (data !== undefined) yield* quality(data)
  yield* traps()
  yield* times()
}

/** On the half of the pairs that the shipped model was not trained on, when they are the pairs of its training. */
async function* quality(path: string): AsyncGenerator<Measured> {
  const judging = new Judging(await staticTable())
  const { forest } = await shippedModel()
  const calibration = await shippedCalibration()
  const pairs = readPairs(path)
  const { report } = halves(pairs)
  for (const sizes of REPORTED) {
    for await (const { name, value, threshold } of figuresOf(judging, report, forest, calibration, sizes)) {
      const against = threshold !== undefined && { against: THRESHOLD, ratio: value / threshold }
      yield { case: name, value, unit: "share", ...against }
      if (threshold !== undefined) yield { case: `  by ${THRESHOLD}`, value: threshold, unit: "share" }
    }
  }
  for await (const { name, value } of denseFigures(judging, report, forest, calibration)) {
    yield { case: name, value, unit: "share" }
  }
  for await (const { name, value } of ownFigures(judging, report, pairs, forest)) {
    yield { case: name, value, unit: "share" }
  }
}

/** On the half that nobody looked at while the gates were built. */
async function* traps(): AsyncGenerator<Measured> {
  const judging = new Judging(await staticTable())
  const files = [
    ["near misses", "traps.tsv", ">= 0.95"],
    ["paraphrases", "paraphrases.tsv", "<= 0.05"]
  ] as const
  for (const [name, file, target] of files) {
    const unseen = readTraps(file).filter(({ half }) => half === "report")
    const refused = unseen.filter(({ a, b }) => {
      judging.read(a, [{ text: b, similarity: 0.95 }], 1000)
      return judging.gates[0] !== undefined
    })
    yield { case: `${name} that gates refuse`, value: refused.length / unseen.length, unit: "share", target }
  }
}

/** Look-ups of questions that share words, with as many candidates as are judged. */
async function* times(): AsyncGenerator<Measured> {
  const verifier = learnedVerifier()
  await verifier.verify("", [], 0)
  const questions = readTraps("paraphrases.tsv").flatMap(({ a, b }) => [a, b])
  const lookUps = questions.map((query, i) => ({
    query,
    candidates: Array.from({ length: MOST_JUDGED }, (_, k) => ({
      text: questions[(i ^ 1) + (k === 0 ? 0 : 2 * k)] ?? questions[k]!,
      similarity: 0.9 - k / 20
    }))
  }))
  const encoder = new StaticEncoder(await staticTable())
  const vector = new Float32Array(256)
  let turn = 0
  const { verify, embed } = await interleave({
    verify: () => {
      const { query, candidates } = lookUps[turn++ % lookUps.length]!
      return verifier.verify(query, candidates, 10_000)
    },
    embed: () => encoder.encode(lookUps[turn++ % lookUps.length]!.query, vector, 0)
  })
  const against = { against: "embedding the question", ratio: ratio(verify, embed) }
  yield { case: `judging ${MOST_JUDGED} candidates, p50`, value: verify.p50, unit: "us", ...against, target: "< 30" }
}
