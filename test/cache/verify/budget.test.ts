/** A budget of wrong answers becomes a cut that keeps to it, and abstains where nobody can say. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { cutCurve, type Served } from "../../../src/core/cache/verify/budget.ts"
import { randomOf } from "../../../src/core/cache/verify/labelled.ts"
import {
  type CacheCalibration,
  calibrateCache,
  clopperPearson,
  hashEmbedder,
  type LabelledPair,
  leastProbability,
  shippedCalibration
} from "../../../src/index.ts"
import { failsWith } from "../../failures.ts"

const uniform = (random: () => number) => random() / 2 ** 32

/** Look-ups that are right as often as they say, half of them with nothing right in the cache. */
const simulated = (count: number, seed: number): ReadonlyArray<Served> => {
  const random = randomOf(seed)
  return Array.from({ length: count }, (_, i) => {
    const duplicate = i % 2 === 0
    const probability = duplicate ? uniform(random) ** 0.2 : uniform(random) ** 3
    return { probability, right: duplicate && uniform(random) < probability, duplicate }
  })
}

const calibrationOf = (...curves: CacheCalibration["curves"]): CacheCalibration => ({
  verifier: "v",
  embedder: "e",
  curves
})

test("an interval of Clopper and Pearson is the one of their tables", () => {
  const { rate, low, high } = clopperPearson(2, 20)
  assert.equal(rate, 0.1)
  assert.ok(Math.abs(low - 0.012349) < 1e-6 && Math.abs(high - 0.316983) < 1e-6, `${low} ${high}`)
  assert.ok(Math.abs(clopperPearson(0, 100).high - (1 - 0.025 ** (1 / 100))) < 1e-12)
  assert.deepEqual(clopperPearson(0, 0), { rate: 0, low: 0, high: 1 })
  assert.equal(clopperPearson(5, 5).high, 1)
})

test("an interval of none and of all has the ends that have a closed form", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.integer({ min: 1, max: 5000 }), (sure, n) => {
      const end = ((1 - sure) / 2) ** (1 / n)
      assert.ok(Math.abs(clopperPearson(0, n, sure).high - (1 - end)) < 1e-9)
      assert.ok(Math.abs(clopperPearson(n, n, sure).low - end) < 1e-9)
    })
  )
})

test("the cuts of a curve count what serving everything above them does", () => {
  const lookUps = simulated(2000, 3)
  const { cuts } = cutCurve(100, lookUps)
  assert.ok(cuts.length > 20)
  for (const cut of cuts) {
    const served = lookUps.filter(({ probability }) => probability! >= cut.probability)
    assert.equal(cut.rightDuplicates, served.filter(({ right }) => right).length)
    assert.equal(cut.wrongDuplicates, served.filter(({ right, duplicate }) => duplicate && !right).length)
    assert.equal(cut.wrongOthers, served.filter(({ duplicate }) => !duplicate).length)
  }
})

test("what a budget lets through of other look-ups is within it, far more often than not", () => {
  let exceeded = 0
  const draws = 40
  for (let seed = 0; seed < draws; seed++) {
    const calibration = calibrationOf(cutCurve(100, simulated(4000, 2 * seed + 1)))
    const least = leastProbability(calibration, { maxFalseHitRate: 0.02, cached: 100 })!
    const fresh = simulated(20_000, 2 * seed + 2)
    const wrong = fresh.filter(({ probability, right }) => probability! >= least && !right).length
    if (wrong / fresh.length > 0.02) exceeded++
  }
  assert.ok(exceeded <= 6, `${exceeded} of ${draws}`)
})

test("a larger budget never asks for more, and a larger cache never for less", () => {
  const near = cutCurve(100, simulated(4000, 5))
  const harder = simulated(4000, 6).map((one, i) => ({ ...one, right: one.right && i % 4 === 0 }))
  const calibration = calibrationOf(near, cutCurve(1000, harder))
  const least = (maxFalseHitRate: number, cached: number) => leastProbability(calibration, { maxFalseHitRate, cached })!
  const budgets = [0.01, 0.02, 0.05, 0.1].map((budget) => least(budget, 100))
  assert.deepEqual(
    budgets,
    budgets.toSorted((a, b) => b - a)
  )
  assert.equal(least(0.05, 3), least(0.05, 100))
  const sizes = [100, 300, 1000, 10_000, 1_000_000].map((cached) => least(0.05, cached))
  assert.deepEqual(
    sizes,
    sizes.toSorted((a, b) => a - b)
  )
  assert.ok(sizes[0]! < sizes[2]! && sizes.at(-1)! < 1)
})

test("a larger cache that was measured to need less needs no less", () => {
  const harder = simulated(4000, 6).map((one, i) => ({ ...one, right: one.right && i % 4 === 0 }))
  const calibration = calibrationOf(cutCurve(100, harder), cutCurve(1000, simulated(4000, 5)))
  const least = (cached: number) => leastProbability(calibration, { maxFalseHitRate: 0.05, cached })
  assert.equal(least(1000), least(100))
})

test("traffic that has less in the cache needs more", () => {
  const calibration = calibrationOf(cutCurve(100, simulated(4000, 7)))
  const least = (duplicates: number) =>
    leastProbability(calibration, { maxFalseHitRate: 0.05, cached: 100, duplicates })
  assert.ok(least(0.1)! > least(0.9)!)
})

test("too few look-ups bound no rate", () => {
  const few = calibrationOf(cutCurve(100, simulated(100, 8)))
  assert.equal(leastProbability(few, { maxFalseHitRate: 0.01, cached: 100 }), undefined)
  assert.equal(leastProbability(calibrationOf(), { maxFalseHitRate: 0.5, cached: 100 }), undefined)
})

test("numbers out of range are refused", () => {
  const calibration = calibrationOf(cutCurve(100, simulated(100, 9)))
  for (const maxFalseHitRate of [0, 1, -1, Number.NaN]) {
    const ask = () => leastProbability(calibration, { maxFalseHitRate, cached: 100 })
    assert.throws(ask, failsWith("InvalidParameter", "maxFalseHitRate"))
  }
  const ask = () => leastProbability(calibration, { maxFalseHitRate: 0.1, cached: 100, duplicates: 2 })
  assert.throws(ask, failsWith("InvalidParameter", "duplicates"))
  for (const near of [-0.1, 0.6, Number.NaN]) {
    const ask = () => leastProbability(calibration, { maxFalseHitRate: 0.1, cached: 100, near })
    assert.throws(ask, failsWith("InvalidParameter", "near"))
  }
})

test("the shipped calibration has a cut for 1 % and 5 % at every size, and asks more of larger caches", async () => {
  const shipped = await shippedCalibration()
  const least = (maxFalseHitRate: number, cached: number) => leastProbability(shipped, { maxFalseHitRate, cached })!
  for (const cached of [1, 1000, 5000, 30_000, 1_000_000]) {
    assert.ok(least(0.01, cached) > least(0.05, cached), `${cached}`)
    assert.ok(least(0.01, cached) < 1)
  }
  assert.ok(least(0.01, 1_000_000) > least(0.01, 1000))
})

/** Look-ups without a right answer, of which those with a near miss are taken for the same far more often. */
const withNearMisses = (count: number, share: number, seed: number): ReadonlyArray<Served> => {
  const random = randomOf(seed)
  return simulated(count, seed).map((one) => {
    if (one.duplicate) return one
    const hasNearMiss = uniform(random) < share
    return { ...one, hasNearMiss, probability: hasNearMiss ? uniform(random) ** 0.5 : uniform(random) ** 6 }
  })
}

test("where near misses are many the budget is kept once that is told, and not before", () => {
  const calibration = calibrationOf(cutCurve(100, withNearMisses(20_000, 0.05, 11)))
  const dense = withNearMisses(20_000, 0.8, 12)
  const wrongOf = (near: number | undefined): number => {
    const least = leastProbability(calibration, { maxFalseHitRate: 0.1, cached: 100, near })!
    return dense.filter(({ probability, right }) => probability! >= least && !right).length / dense.length
  }
  assert.ok(wrongOf(undefined) > 0.15, `${wrongOf(undefined)}`)
  assert.ok(wrongOf(0.4) <= 0.1 && wrongOf(0.4) > 0.05, `${wrongOf(0.4)}`)
  assert.ok(wrongOf(0.5) <= wrongOf(0.4))
})

test("near misses count as they did in the calibration when nothing is told, and for nothing where it knows of none", () => {
  const lookUps = withNearMisses(8000, 0.2, 13)
  const curve = cutCurve(100, lookUps)
  assert.equal(curve.near, lookUps.filter(({ duplicate, hasNearMiss }) => !duplicate && hasNearMiss).length)
  for (const { probability, wrongNear } of curve.cuts) {
    const served = lookUps.filter((one) => one.probability! >= probability && !one.duplicate && one.hasNearMiss)
    assert.equal(wrongNear, served.length)
  }
  const budget = { maxFalseHitRate: 0.1, cached: 100 }
  const usual = leastProbability(calibrationOf(curve), budget)
  assert.equal(leastProbability(calibrationOf(curve), { ...budget, near: curve.near! / curve.others / 2 }), usual)
  const unknown = calibrationOf(cutCurve(100, simulated(4000, 14)))
  assert.equal(leastProbability(unknown, { ...budget, near: 0.5 }), leastProbability(unknown, budget))
})

test("the shipped calibration knows near misses at every size, and asks more where there are more", async () => {
  const shipped = await shippedCalibration()
  assert.ok(shipped.curves.every(({ near = 0 }) => near > 100))
  for (const cached of [100, 1000, 10_000]) {
    const least = [undefined, 0.2, 0.4].map(
      (near) => leastProbability(shipped, { maxFalseHitRate: 0.05, cached, near })!
    )
    assert.ok(least[0]! < least[1]! && least[1]! < least[2]!, `${cached}: ${least}`)
  }
})

const THINGS = ["harbour", "violin", "glacier", "teapot", "comet", "orchard", "saddle", "lantern", "walnut", "canyon"]
const ACTS = ["paint", "repair", "photograph", "describe", "measure", "find", "visit", "build"]

/** Eighty questions in two wordings each, and pairs of neighbours that are not the same. */
const ownPairs = (): ReadonlyArray<LabelledPair> =>
  THINGS.flatMap((thing, t) =>
    ACTS.flatMap((act, a) => {
      const question = `How do I ${act} a ${thing}?`
      return [
        { a: question, b: `How can I ${act} a ${thing}?`, same: true },
        { a: question, b: `How do I ${ACTS[(a + 1) % ACTS.length]} a ${thing}?`, same: false },
        { a: question, b: `How do I ${act} a ${THINGS[(t + 1) % THINGS.length]}?`, same: false }
      ]
    })
  )

test("a calibration on one's own pairs is plain JSON and the same each time", async () => {
  const first = await calibrateCache(ownPairs())
  assert.deepEqual(JSON.parse(JSON.stringify(await calibrateCache(ownPairs()))), JSON.parse(JSON.stringify(first)))
  assert.equal(first.scale, undefined)
  assert.ok(first.curves.length > 1)
  for (const { duplicates, others, cuts } of first.curves) assert.ok(duplicates > 0 && others > 0 && cuts.length > 0)
  assert.ok(first.curves.every(({ near = 0, others }) => near > 0 && near <= others))
})

test("similarities of another embedder are brought to the scale of the static one", async () => {
  const embedder = hashEmbedder()
  const { scale, embedder: id, curves } = await calibrateCache(ownPairs(), { embedder })
  assert.equal(id, embedder.id)
  assert.ok(scale !== undefined && scale.from.length === scale.to.length)
  for (const side of [scale.from, scale.to]) {
    assert.deepEqual(
      side,
      side.toSorted((a, b) => a - b)
    )
  }
  assert.ok(curves.every(({ cuts }) => cuts.length > 0))
})

test("a verifier of one's own is calibrated on its own probabilities", async () => {
  const oracle = {
    id: "oracle",
    verify: (query: string, candidates: ReadonlyArray<{ readonly text: string }>) => {
      const index = candidates.findIndex(({ text }) => text.replace("do I", "can I") === query.replace("do I", "can I"))
      return { best: { index: Math.max(0, index), probability: index < 0 ? 0.1 : 0.9 }, refused: [] }
    }
  }
  const calibration = await calibrateCache(ownPairs(), { verifier: oracle })
  assert.equal(calibration.verifier, "oracle")
  assert.equal(leastProbability(calibration, { maxFalseHitRate: 0.1, cached: 50 }), 0.9)
})

test("too few pairs are refused", async () => {
  await assert.rejects(calibrateCache(ownPairs().slice(0, 9)), failsWith("InvalidParameter", "pairs"))
})
