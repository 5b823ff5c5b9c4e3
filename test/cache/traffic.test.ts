/** The error budget in traffic of other mixes than that of its calibration: kept, and no more careful than it has to be. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { CacheFeedback, clopperPearson, leastProbability, type Verifier } from "../../src/cache.ts"
import { Acceptance } from "../../src/core/cache/acceptance.ts"
import { settingsOf } from "../../src/core/cache/options.ts"
import { cutCurve, type Served } from "../../src/core/cache/verify/budget.ts"
import { ask, withCache } from "./caches.ts"

const CACHED = 1000
const BUDGET = 0.01

const randoms = (seed: number) => {
  let state = seed
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state + 0.5) / 2 ** 32
  }
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
  return { uniform, normal }
}

/** Look-ups as a verifier sees them: log-odds of duplicates lie about `ease`, those of others about -2.5. */
const lookUps = (seed: number, ease = 2) => {
  const { uniform, normal } = randoms(seed)
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
  return {
    uniform,
    draw: (duplicate: boolean): Served => {
      const right = duplicate && uniform() < 0.95
      return { duplicate, right, probability: sigmoid((right ? ease : -2.5) + 1.5 * normal()) }
    }
  }
}

const verifier: Verifier = { id: "drawn", verify: () => ({ best: undefined, refused: [] }) }
const { draw } = lookUps(1)
const calibration = {
  verifier: verifier.id,
  embedder: "drawn",
  curves: [
    cutCurve(
      CACHED,
      Array.from({ length: 8000 }, (_, i) => draw(i % 2 === 0))
    )
  ]
}

interface Mixed {
  /** Share of the look-ups that are the same request. */
  readonly same: number
  /** Share of the others whose answer is cached. */
  readonly duplicates: number
  readonly ease?: number
}

/** Wrong answers, and the share of duplicates that were served, with what the cache sees of its look-ups or without. */
const simulated = async ({ same, duplicates, ease }: Mixed, seed: number, isFixed = false) => {
  const settings = settingsOf({ verifier, calibration, maxFalseHitRate: BUDGET, dimensions: 2 })
  const acceptance = await Acceptance.of(settings, new CacheFeedback(), calibration.embedder)
  const { uniform, draw } = lookUps(seed, ease)
  const count = { all: 30_000, wrong: 0, duplicates: 0, right: 0 }
  for (let i = 0; i < count.all; i++) {
    if (uniform() < same) {
      if (!isFixed) acceptance.unjudged()
      continue
    }
    const { probability = 0, right, duplicate } = draw(uniform() < duplicates)
    if (!isFixed) acceptance.judged(probability, CACHED)
    if (duplicate) count.duplicates++
    if (acceptance.refusal(probability, CACHED) !== undefined) continue
    if (right) count.right++
    else count.wrong++
  }
  return { wrong: clopperPearson(count.wrong, count.all), found: count.right / count.duplicates }
}

const MIXES: ReadonlyArray<Mixed> = [0, 0.3, 0.7].flatMap((same) =>
  [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98].map((duplicates) => ({ same, duplicates }))
)

test("the budget is kept in every mix, also of duplicates that are easier to see, or harder, than those of the calibration", async () => {
  for (const [i, mix] of MIXES.entries()) {
    for (const ease of [1, 2, 4]) {
      const { wrong } = await simulated({ ...mix, ease }, 100 + i)
      assert.ok(wrong.low <= BUDGET, `${JSON.stringify({ ...mix, ease })}: ${wrong.rate}`)
    }
  }
})

test("without a look at the traffic it would not be, where few are duplicates, and be too careful where many are", async () => {
  const few = { same: 0, duplicates: 0.02 }
  assert.ok((await simulated(few, 7, true)).wrong.low > BUDGET)
  assert.ok((await simulated(few, 7)).wrong.low <= BUDGET)
  for (const many of [
    { same: 0, duplicates: 0.9 },
    { same: 0.5, duplicates: 0.5 },
    { same: 0.3, duplicates: 0.8 }
  ]) {
    const [fixed, seen] = [await simulated(many, 8, true), await simulated(many, 8)]
    assert.ok(seen.found > fixed.found + 0.02, `${JSON.stringify(many)}: ${seen.found}, with half ${fixed.found}`)
  }
})

test("half of the look-ups are taken for duplicates until there is evidence of something else", async () => {
  const settings = settingsOf({ verifier, calibration, maxFalseHitRate: BUDGET, dimensions: 2 })
  const acceptance = await Acceptance.of(settings, new CacheFeedback(), calibration.embedder)
  const usual = leastProbability(calibration, { maxFalseHitRate: BUDGET, cached: CACHED })!
  const isAtUsual = () =>
    acceptance.refusal(usual + 1e-9, CACHED) === undefined && acceptance.refusal(usual - 1e-9, CACHED) !== undefined
  const { draw } = lookUps(3)
  for (let i = 0; i < 3000; i++) {
    acceptance.judged(draw(i % 2 === 0).probability, CACHED)
    assert.ok(isAtUsual(), `after ${i}`)
  }
  for (let i = 0; i < 3000; i++) acceptance.judged(0.001, CACHED)
  assert.equal(isAtUsual(), false)
})

test("a cache tells what it assumes, and counts the same request and empty scopes as look-ups that cannot be wrong", async () => {
  const told: Verifier = { id: "drawn", verify: () => ({ best: { index: 0, probability: 0.999 }, refused: [] }) }
  const options = {
    embedder: undefined,
    dimensions: 2,
    verifier: told,
    calibration,
    maxFalseHitRate: BUDGET,
    floor: 0.9
  }
  await withCache(options, async ({ cache }) => {
    assert.deepEqual(cache.stats().mix, { duplicates: 0.5, judged: 1 })
    await cache.set(ask("a"), 1, { vector: [1, 0] })
    for (let i = 0; i < 600; i++) {
      await cache.get(ask("a"), { vector: [1, 0] })
      await cache.get({ model: `m ${i}`, prompt: "a" }, { vector: [1, 0] })
      await cache.get(ask("b"), { vector: [1, 0.1] })
    }
    const { duplicates = 0, judged } = cache.stats().mix ?? {}
    assert.ok(duplicates > 0.9 && judged === 0.5, JSON.stringify(cache.stats().mix))
  })
  await withCache({ threshold: 0.9 }, async ({ cache }) => assert.equal(cache.stats().mix, undefined))
})

/** Wrong answers where of every ten look-ups some are the same request, some duplicates, and the rest have a near miss cached. */
const wrongAmong = async ({ same, duplicates }: { readonly same: number; readonly duplicates: number }) => {
  const drawn = randoms(11)
  const nearMiss = (): Served => {
    const probability = 1 / (1 + Math.exp(-0.5 - 1.5 * drawn.normal()))
    return { duplicate: false, right: false, hasNearMiss: true, probability }
  }
  const { draw } = lookUps(12)
  const known = Array.from({ length: 40_000 }, (_, i) => (i % 4 === 0 ? nearMiss() : draw(i % 2 === 0)))
  const calibration = { verifier: verifier.id, embedder: "drawn", curves: [cutCurve(CACHED, known)] }
  const nearMisses = (10 - same - duplicates) / 10
  const settings = settingsOf({ verifier, calibration, maxFalseHitRate: BUDGET, dimensions: 2, nearMisses })
  const acceptance = await Acceptance.of(settings, new CacheFeedback(), calibration.embedder)
  const count = { all: 60_000, wrong: 0 }
  for (let i = 0; i < count.all; i++) {
    const turn = i % 10
    if (turn < same) {
      acceptance.unjudged()
      continue
    }
    const { probability = 0, right } = turn < same + duplicates ? draw(true) : nearMiss()
    acceptance.judged(probability, CACHED)
    if (!right && acceptance.refusal(probability, CACHED) === undefined) count.wrong++
  }
  return { wrong: clopperPearson(count.wrong, count.all), mix: acceptance.mix }
}

test("the share of near misses that is told is of all look-ups, and holds where they are taken for duplicates", async () => {
  for (const mixed of [
    { same: 0, duplicates: 0 },
    { same: 0, duplicates: 1 },
    { same: 0, duplicates: 5 },
    { same: 5, duplicates: 0 },
    { same: 4, duplicates: 3 },
    { same: 9, duplicates: 0 }
  ]) {
    const { wrong, mix } = await wrongAmong(mixed)
    assert.ok(wrong.low <= BUDGET, `${JSON.stringify({ mixed, mix })}: ${wrong.rate}`)
    assert.ok(wrong.rate > BUDGET / 5, `${JSON.stringify({ mixed, mix })}: ${wrong.rate}`)
  }
})
