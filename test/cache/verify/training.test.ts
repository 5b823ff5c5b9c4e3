/** What the training of the verifier stands on: halves without a common question, and trees that learn. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { boost } from "../../../scripts/verifier/boosting.ts"
import { foundWithin } from "../../../scripts/verifier/measure.ts"
import { halves } from "../../../scripts/verifier/pairs.ts"
import { fittedPlatt } from "../../../scripts/verifier/platt.ts"
import { DEPTH, Trees } from "../../../src/core/cache/verify/forest.ts"
import { questionsOf, randomOf } from "../../../src/core/cache/verify/labelled.ts"

const OPTIONS = { trees: 60, depth: DEPTH, rate: 0.3, leastWeight: 1, damping: 1, columns: 1, sample: 1 }

test("trees learn what no line does, and let a useless feature alone", () => {
  const random = randomOf(1)
  const rows = 4000
  const values = Float32Array.from({ length: 3 * rows }, () => random() / 2 ** 32)
  const labels = Uint8Array.from({ length: rows }, (_, row) =>
    values[3 * row]! > 0.5 !== values[3 * row + 1]! > 0.5 ? 1 : 0
  )
  const forest = boost({ features: 3, rows, values, labels }, OPTIONS, random)
  const trees = new Trees(forest, 3)
  const wrong = labels.filter((label, row) => trees.logOdds(values, 3 * row) > 0 !== (label === 1)).length
  assert.ok(wrong / rows < 0.02, `${wrong} of ${rows}`)
  const used = [...forest.features].filter((_, node) => Number.isFinite(forest.thresholds[node]!))
  assert.ok(used.filter((feature) => feature === 2).length < used.length / 3)
})

test("the same examples and seed give the same trees", () => {
  const values = Float32Array.from({ length: 400 }, (_, i) => (i * 37) % 101)
  const labels = Uint8Array.from({ length: 200 }, (_, i) => ((i * 7) % 5 > 2 ? 1 : 0))
  const train = () => boost({ features: 2, rows: 200, values, labels }, { ...OPTIONS, sample: 0.7 }, randomOf(4))
  assert.deepEqual(train(), train())
})

test("questions are the same through others, and components hold pairs of any label", () => {
  const { clusters, components } = questionsOf([
    { a: "p", b: "q", same: true },
    { a: "r", b: "q", same: true },
    { a: "r", b: "s", same: false },
    { a: "t", b: "u", same: false }
  ])
  assert.deepEqual(
    clusters.map((members) => members.length),
    [3, 1, 1, 1]
  )
  assert.deepEqual([...components], [0, 0, 0, 0, 4, 4])
})

test("no question is in both halves, whatever order the pairs come in", () => {
  const pairs = Array.from({ length: 300 }, (_, i) => ({ a: `q${i % 97}`, b: `q${(i * 31) % 211}`, same: i % 3 === 0 }))
  const { develop, report } = halves(pairs)
  assert.ok(develop.texts.every((text) => !report.texts.includes(text)))
  assert.deepEqual(new Set(halves(pairs.toReversed()).report.texts), new Set(report.texts))
})

test("what is found within a budget is what the lowest cut that keeps to it finds", () => {
  const scored = [0.9, 0.8, 0.7, 0.6].map((score, i) => ({ score, right: i !== 1, duplicate: i !== 1 }))
  assert.equal(foundWithin(scored, 0), 1 / 3)
  assert.equal(foundWithin(scored, 0.25), 1)
})

test("the line to the truth is the one that scores were bent by", () => {
  const random = randomOf(2)
  const lookUps = Array.from({ length: 50_000 }, () => {
    const score = (random() / 2 ** 32) * 8 - 4
    return { score, right: random() / 2 ** 32 < 1 / (1 + Math.exp(-0.5 * score - 1)), duplicate: true }
  })
  const { slope, offset } = fittedPlatt(lookUps)
  assert.ok(Math.abs(slope - 0.5) < 0.03 && Math.abs(offset - 1) < 0.05, `${slope} ${offset}`)
})
