/** An error budget in place of a threshold, and what callers say of hits. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { type CacheOptions, clopperPearson, nearestVerifier, semanticCache, type Verifier } from "../../src/cache.ts"
import { type CacheCalibration, InvalidParameter, open } from "../../src/index.ts"
import { ask, degrees, withCache } from "./caches.ts"

/** As sure as the question says: `"cat 10"` is the same as any other question about cats by .10. */
const verifier: Verifier = {
  id: "told",
  verify: (query) => ({ best: { index: 0, probability: Number(query.split(" ")[1]) / 100 }, refused: [] })
}

/** Of a thousand look-ups none was wrong from .9 on, and a fifth from .5 on. */
const calibration: CacheCalibration = {
  verifier: "told",
  embedder: degrees().id,
  curves: [1, 1000].map((cached) => ({
    cached,
    duplicates: 1000,
    others: 1000,
    cuts: [
      { probability: 0.09, wrongDuplicates: 0, wrongOthers: 0, rightDuplicates: 500 },
      { probability: 0.05, wrongDuplicates: 200, wrongOthers: 200, rightDuplicates: 700 }
    ]
  }))
}
const OPTIONS: CacheOptions = { verifier, calibration, maxFalseHitRate: 0.01, floor: 0.9 }

test("what is sure enough for the budget is served, however near", async () => {
  await withCache(OPTIONS, async ({ cache }) => {
    await cache.set(ask("cat 0"), "meow")
    const sure = await cache.get(ask("cat 10"))
    assert.ok(sure.isHit && sure.tier === "semantic" && sure.probability === 0.1)
    const unsure = await cache.get(ask("cat 7"))
    assert.ok(!unsure.isHit && unsure.reason === "below-threshold" && unsure.nearest?.text === "cat 0")
    // Below the floor nothing is served, however sure the verifier is.
    assert.equal((await cache.get(ask("cat 40"))).isHit, false)
  })
})

test("a budget that cannot be kept to is not tried: only the same request is served", async () => {
  await withCache({ ...OPTIONS, maxFalseHitRate: 0.001 }, async ({ cache }) => {
    await cache.set(ask("cat 0"), "meow")
    const found = await cache.get(ask("cat 20"))
    assert.ok(!found.isHit && found.reason === "abstained")
    assert.equal((await cache.get(ask("cat 0"))).isHit, true)
  })
})

test("near misses that the operator tells of make it surer, and are a share", async () => {
  const curves = calibration.curves.map(({ cuts, ...curve }) => ({
    ...curve,
    near: 200,
    cuts: cuts.map((cut, i) => ({ ...cut, wrongNear: i === 0 ? 2 : 100, wrongOthers: i === 0 ? 2 : 200 }))
  }))
  const options = { ...OPTIONS, calibration: { ...calibration, curves } }
  const isServed = (nearMisses?: number) =>
    withCache({ ...options, nearMisses }, async ({ cache }) => {
      await cache.set(ask("cat 0"), "meow")
      assert.equal((await cache.get(ask("cat 10"))).isHit, nearMisses === undefined)
    })
  await isServed()
  // Duplicates give way to more than what is left beside them.
  for (const nearMisses of [0.5, 1]) await isServed(nearMisses)
  await using db = await open(":memory:")
  for (const nearMisses of [-0.1, 1.1, Number.NaN]) {
    await assert.rejects(semanticCache(db, { embedder: degrees(), ...options, nearMisses }), InvalidParameter)
  }
})

test("a calibration of another verifier or embedder is refused, as is a budget out of range", async () => {
  await using db = await open(":memory:")
  const bad: ReadonlyArray<CacheOptions> = [
    { ...OPTIONS, calibration: { ...calibration, verifier: "another" } },
    { ...OPTIONS, calibration: { ...calibration, embedder: "another" } },
    { ...OPTIONS, maxFalseHitRate: 0 },
    { ...OPTIONS, maxFalseHitRate: 1.5 }
  ]
  for (const options of bad) {
    await assert.rejects(semanticCache(db, { embedder: degrees(), ...options }), InvalidParameter)
  }
})

test("what callers say is counted, moves probabilities, and is there when the cache is opened again", async () => {
  await using db = await open(":memory:")
  const options = { embedder: degrees(), ...OPTIONS }
  {
    await using cache = await semanticCache(db, options)
    await cache.set(ask("cat 0"), "meow")
    await cache.set(ask("dog 0"), "woof")
    const dog = await cache.get(ask("dog 25"))
    assert.ok(dog.isHit)
    await dog.confirm()
    // All are served before the first is rejected, which makes the others less likely.
    const found = await Promise.all([10, 11, 12, 13].map((angle) => cache.get(ask(`cat ${angle}`))))
    const rejecting = found.map(async (one) => {
      assert.ok(one.isHit)
      await one.reject()
    })
    await Promise.all(rejecting)
    const { wrong, entries, confirmed, rejected } = cache.stats()
    assert.deepEqual([entries, confirmed, rejected, wrong.ofServed.rate], [2, 1, 4, 0.8])
    assert.ok(wrong.ofServed.low < 0.8 && wrong.ofServed.high > 0.8 && wrong.ofLookUps.rate <= wrong.ofServed.rate)
  }
  await using cache = await semanticCache(db, options)
  assert.equal(cache.stats().entries, 2)
  assert.equal(cache.stats().wrong.ofServed.rate, 0.8)
  // Another question, as sure as the verifier was of those that were wrong.
  const found = await cache.get(ask("cat 14"))
  assert.ok(!found.isHit && found.reason === "below-threshold")
})

test("a word about one entry is kept apart from those about most others, and none is lost on opening again", async () => {
  await using db = await open(":memory:")
  const options: CacheOptions = { dimensions: 8, precision: "f32", threshold: 0.99, verifier: nearestVerifier() }
  const at = (i: number) => ({ vector: Float32Array.from({ length: 8 }, (_, c) => Math.sin((i + 1) * (c + 1.37))) })
  const count = 300
  {
    await using cache = await semanticCache(db, options)
    await Promise.all(Array.from({ length: count }, (_, i) => cache.set(ask(`q ${i}`), i, at(i))))
    const judging = Array.from({ length: count }, async (_, i) => {
      const found = await cache.get(ask(`other ${i}`), at(i))
      assert.ok(found.isHit)
      await (i % 3 === 0 ? found.reject() : found.confirm())
    })
    await Promise.all(judging)
  }
  const sizes: Array<number> = []
  for await (const { key, payload } of (await db.collection("cache")).entries()) {
    if (key.startsWith("feedback")) sizes.push(Object.keys((payload as { readonly entries: object }).entries).length)
  }
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    count
  )
  assert.ok(Math.max(...sizes) < count / 20, `${Math.max(...sizes)} entries in one record`)
  await using cache = await semanticCache(db, options)
  assert.deepEqual(cache.stats().wrong.ofServed, clopperPearson(count / 3, count))
})

test("a word about an entry that is gone counts, and is remembered of no entry", async () => {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { embedder: degrees(), ...OPTIONS })
  await cache.set(ask("cat 0"), "meow")
  const found = await cache.get(ask("cat 10"))
  assert.ok(found.isHit && found.tier === "semantic")
  await cache.invalidate({ key: found.key })
  await found.reject()
  assert.equal(cache.stats().wrong.ofServed.rate, 1)
  const kept = []
  for await (const { key, payload } of (await db.collection("cache")).entries()) {
    if (key.startsWith("feedback")) kept.push(payload as { readonly entries: object })
  }
  assert.deepEqual(
    kept.map(({ entries }) => entries),
    [{}]
  )
})
