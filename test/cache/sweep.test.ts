/** Expired entries go by themselves: a little at a time, and only while there are any. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type CacheOptions, type SemanticCache, semanticCache } from "../../src/cache.ts"
import { TURN_MS } from "../../src/core/turn.ts"
import { open } from "../../src/index.ts"
import { ask, withCache } from "./caches.ts"

const OPTIONS: CacheOptions = { embedder: undefined, dimensions: 2, sweepMs: 1000 }

const keep = async (cache: SemanticCache, from: number, to: number, ttlMs?: number): Promise<void> => {
  for (let at = from; at < to; at += 500) {
    const some = Array.from({ length: Math.min(500, to - at) }, (_, i) => at + i)
    await Promise.all(some.map((i) => cache.set(ask(`q ${i}`), i, { vector: [1, i], ttlMs })))
  }
}

const until = async (holds: () => boolean): Promise<void> => {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 100_000, "it never came to hold")
    await new Promise(setImmediate)
  }
}

describe("the sweep", () => {
  test("deletes what is expired within some ticks, that to be served stale not before its time, and nothing else", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] })
    await withCache({ ...OPTIONS, staleMs: 50 }, async ({ cache, pass }) => {
      await keep(cache, 0, 100, 10)
      await keep(cache, 100, 150, 500)
      await keep(cache, 150, 175)
      const after = async (ms: number) => {
        pass(ms)
        // A tick may end before it has met them all.
        for (let tick = 0; tick < 30; tick++) {
          t.mock.timers.tick(1000)
          await new Promise(setImmediate)
        }
        for (let quiet = 0, before = cache.stats().entries; quiet < 50; quiet++) {
          await new Promise(setImmediate)
          if (cache.stats().entries !== before) quiet = 0
          before = cache.stats().entries
        }
        return cache.stats().entries
      }
      assert.deepEqual([await after(0), await after(59), await after(1)], [175, 175, 75])
      assert.equal(await after(489), 75)
      assert.equal(await after(1), 25)
      assert.equal(await after(1e12), 25)
      // What is kept afterwards is found as well.
      await keep(cache, 200, 210, 5)
      assert.equal(await after(55), 25)
      assert.equal(cache.stats().swept, 160)
    })
  })

  test("takes a share of a turn each time, however much is expired, and goes on in the next ones", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] })
    await withCache(OPTIONS, async ({ cache, pass }) => {
      await keep(cache, 0, 10_000, 10)
      pass(10)
      t.mock.timers.tick(1000)
      const atOnce = 10_000 - cache.stats().entries
      let turns = 0
      await until(() => {
        turns++
        return cache.stats().entries === 0
      })
      assert.ok(atOnce > 0 && atOnce < 5000, `${atOnce} in the turn of the tick`)
      assert.ok(turns > 2, `all in ${turns} turns of ${TURN_MS} ms`)
    })
  })

  test("looks at no row while nothing can be expired", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] })
    let asked = 0
    let now = 1_000_000
    await using db = await open(":memory:")
    await using cache = await semanticCache(db, {
      ...OPTIONS,
      clock: () => {
        asked++
        return now
      }
    })
    await keep(cache, 0, 1000, 60_000)
    const tick = async (turns = 20) => {
      now += 1000
      t.mock.timers.tick(1000)
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
    }
    // Goes over all rows once, in as many turns as that takes.
    await tick(5000)
    asked = 0
    for (let i = 0; i < 50; i++) await tick()
    assert.equal(asked, 50, "one look at the clock for each tick")
    for (let i = 0; i < 1000 && cache.stats().entries > 0; i++) await tick()
    assert.equal(cache.stats().entries, 0)
  })

  test("ends with the cache, and is not there where it is not wanted", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] })
    let now = 0
    await using db = await open(":memory:")
    const clock = () => now
    {
      await using cache = await semanticCache(db, { ...OPTIONS, clock })
      await keep(cache, 0, 10, 10)
      now = 10
    }
    t.mock.timers.tick(5000)
    await new Promise(setImmediate)
    await using cache = await semanticCache(db, { ...OPTIONS, clock, sweepMs: false })
    t.mock.timers.tick(5000)
    await new Promise(setImmediate)
    assert.equal(cache.stats().entries, 10)
  })

  test("goes by real time where nobody mocks it", async () => {
    await withCache({ ...OPTIONS, sweepMs: 1 }, async ({ cache, pass }) => {
      await keep(cache, 0, 10, 10)
      pass(10)
      const deadline = AbortSignal.timeout(20_000)
      while (cache.stats().entries > 0 && !deadline.aborted) await new Promise((resolve) => setTimeout(resolve, 1))
      assert.equal(cache.stats().entries, 0)
    })
  })
})
