/** What a cache counts: savings of hits, and how long look-ups took. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { Counters } from "../../src/core/cache/statistics.ts"
import { CacheFeedback } from "../../src/core/cache/verify/feedback.ts"
import { ask, withCache } from "./caches.ts"

test("each hit saves the tokens, the money and the time of its answer, and a miss nothing", async () => {
  await withCache({}, async ({ cache }) => {
    await cache.set(ask("cat 0"), 1, { inputTokens: 10, outputTokens: 2, cost: 0.25, tookMs: 400 })
    await cache.set(ask("dog 0"), 2)
    for (const prompt of ["cat 0", "cat 5", "dog 0", "sun 0"]) await cache.get(ask(prompt))
    const { saved, hits, misses } = cache.stats()
    assert.deepEqual(saved, { inputTokens: 20, outputTokens: 4, cost: 0.5, ms: 800 })
    assert.deepEqual([hits, misses], [{ exact: 2, semantic: 1, stale: 0 }, { "below-threshold": 1 }])
  })
})

test("times of look-ups fall into buckets of powers of two, and quantiles into the bucket that has them", () => {
  const counters = new Counters()
  const miss = { isHit: false, key: "k", reason: "scope", similarity: undefined, nearest: undefined } as const
  const times = [...Array.from({ length: 95 }, (_, i) => 8 + (8 * i) / 95), 0.5, 1, 700, 1e6, 1e12]
  for (const us of times) counters.lookedUp(miss, us)
  const none = { entries: 0, bytes: 0, maxBytes: 0, ttl: undefined, mix: undefined, evicted: 0, swept: 0 }
  const { latency, lookUps, misses } = counters.get(none, new CacheFeedback())
  const { count, p50Us, p99Us, maxUs, buckets } = latency
  assert.deepEqual([lookUps, count, misses, maxUs], [100, 100, { scope: 100 }, 1e12])
  const filled = buckets.flatMap((inside, i) => (inside === 0 ? [] : [[i, inside]]))
  // The last bucket has no end.
  assert.deepEqual(filled, [
    [0, 1],
    [1, 1],
    [4, 95],
    [10, 1],
    [20, 1],
    [31, 1]
  ])
  assert.ok(Math.abs(p50Us - 12) < 0.1, `${p50Us}`)
  assert.ok(p99Us > 2 ** 19 && p99Us <= 2 ** 20, `${p99Us}`)
})
