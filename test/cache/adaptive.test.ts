/** Times to live and budgets of bytes that follow from reuse: within their bounds, and better than fixed ones. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import type { CacheOptions } from "../../src/cache.ts"
import { AdaptiveSize } from "../../src/core/cache/adaptive-size.ts"
import { AdaptiveTtl } from "../../src/core/cache/adaptive-ttl.ts"
import { InvalidParameter } from "../../src/index.ts"
import { withCache } from "./caches.ts"

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Numbers from 0 to 1, the same ones each time. */
const randoms = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const VECTORS: CacheOptions = { embedder: undefined, dimensions: 8, threshold: 1, floor: 1 }
/** Every question has a direction of its own. */
const at = (i: number) => ({ vector: Float32Array.from({ length: 8 }, (_, c) => Math.sin((i + 1) * (c + 1.37))) })

describe("times to live", () => {
  /**
   * Two days of two scopes: what is asked in the one is asked again within five minutes and then never, what is asked in
   * the other every two hours. Hit rate, and entries on the average of the second day.
   */
  const twoDays = async (ttlMs: CacheOptions["ttlMs"]) => {
    let [hits, asked, entries] = [0, 0, 0]
    const random = randoms(1)
    await withCache({ ...VECTORS, ttlMs, sweepMs: false }, async ({ cache, pass }) => {
      const question = async (model: string, i: number) => {
        const request = { model, prompt: `q ${i}` }
        const { isHit } = await cache.get(request, at(i))
        asked++
        if (isHit) hits++
        else await cache.set(request, i, at(i))
      }
      for (let minute = 0; minute < 2 * 24 * 60; minute++) {
        await question("news", minute)
        await question("news", Math.max(0, minute - Math.floor(random() * 5)))
        if (minute % 2 === 0) await question("manual", (minute / 2) % 60)
        pass(MINUTE)
        if (minute % 20 === 0) await cache.evict()
        if (minute >= 24 * 60) entries += cache.stats().entries / (24 * 60)
      }
    })
    return { rate: hits / asked, entries }
  }

  test("are as long as entries are of use: as many hits with a fraction of the entries", async () => {
    const longest = await twoDays(DAY)
    const adaptive = await twoDays({ minMs: MINUTE, maxMs: DAY })
    const shortest = await twoDays(20 * MINUTE)
    assert.ok(adaptive.rate > longest.rate - 0.01, `${adaptive.rate}, of ${longest.rate}`)
    assert.ok(adaptive.entries < 0.35 * longest.entries, `${adaptive.entries}, of ${longest.entries}`)
    // No one time for both scopes would do: that which is short enough for the one loses the hits of the other.
    assert.ok(shortest.rate < longest.rate - 0.05, `${shortest.rate}`)
  })

  const request = (i: number) => ({ namespace: "n", key: `${"Habcdefg"[i % 8]}${i}` })

  test("stay within their bounds, and are the longest until enough was seen for long enough", () => {
    const ages = fc.array(fc.integer({ min: 0, max: 10 * DAY }), { maxLength: 300 })
    fc.assert(
      fc.property(ages, fc.integer({ min: 1, max: HOUR }), fc.integer({ min: 0, max: DAY }), (ages, minMs, more) => {
        let now = 0
        const maxMs = minMs + more
        const ttl = new AdaptiveTtl({ minMs, maxMs }, () => now)
        for (const [i, age] of ages.entries()) {
          now += age
          ttl.served("n", request(8 * i).key, age, maxMs)
          const ttlMs = ttl.ttlOf(request(i))
          assert.ok(ttlMs >= minMs && ttlMs <= maxMs)
          if (i < 63) assert.equal(ttlMs, maxMs)
          assert.equal(ttl.ttlOf(request(8 * i)), maxMs)
        }
      })
    )
    let now = 0
    const young = new AdaptiveTtl({ minMs: 1, maxMs: DAY }, () => now)
    for (let i = 0; i < 500; i++) {
      now += 1000
      young.served("n", request(0).key, now, DAY)
    }
    assert.equal(young.ttlOf(request(1)), DAY)
  })

  test("grow again when entries are asked for later", () => {
    let now = 0
    const ttl = new AdaptiveTtl({ minMs: MINUTE, maxMs: DAY }, () => now)
    const reuse = (ageMs: number) => {
      for (let i = 0; i < 1000; i++) {
        now += MINUTE
        const lives = ttl.ttlOf(request(8 * i))
        // Who lives no longer than was learned is not asked for later than that.
        const age = (ageMs * (i % 100)) / 100
        if (age < lives) ttl.served("n", request(8 * i).key, age, lives)
      }
      return ttl.ttlOf(request(1))
    }
    const short = reuse(10 * MINUTE)
    assert.ok(short >= 10 * MINUTE && short < 20 * MINUTE, `${short}`)
    assert.equal(ttl.ttlOf(request(8)), DAY)
    const long = reuse(3 * HOUR)
    assert.ok(long >= 2.9 * HOUR && long < 6 * HOUR, `${long}`)
    // A scope of its own learns apart; one that is new does as all did.
    for (let i = 0; i < 200; i++) ttl.served("other", request(8 * i).key, MINUTE, DAY)
    now += DAY
    assert.ok(ttl.ttlOf({ ...request(1), namespace: "other" }) <= 2 * MINUTE)
    assert.ok(ttl.ttlOf({ ...request(1), namespace: "new" }) >= 2 * HOUR)
  })
})

describe("budgets of bytes", () => {
  const MAX = 400_000
  const answer = "x".repeat(2000)

  /** Of ten questions nine are among those that are asked all the time, and one is never asked again. */
  const asking = (
    maxBytes: CacheOptions["maxBytes"],
    use: (part: (often: number, asked: number) => Promise<{ rate: number; bytes: number }>) => Promise<void>
  ) =>
    withCache({ ...VECTORS, maxBytes, sweepMs: false }, async ({ cache, pass }) => {
      const random = randoms(3)
      let once = 1_000_000
      await use(async (often, asked) => {
        let [hits, bytes] = [0, 0]
        for (let i = 0; i < asked; i++) {
          pass(1000)
          const question = random() < 0.1 ? once++ : Math.floor(often * random() ** 2)
          const request = { prompt: `q ${question}` }
          if ((await cache.get(request, at(question))).isHit) hits++
          else await cache.set(request, answer, at(question))
          bytes += cache.stats().bytes / asked
        }
        return { rate: hits / asked, bytes }
      })
    })

  test("fall to what is asked for, and rise when more is", async () => {
    const fixed: Array<{ rate: number; bytes: number }> = []
    await asking(MAX, async (part) => {
      await part(30, 25_000)
      fixed.push(await part(30, 3000))
      await part(110, 20_000)
      fixed.push(await part(110, 3000))
    })
    await asking({ min: 65_536, max: MAX }, async (part) => {
      await part(30, 25_000)
      const few = await part(30, 3000)
      assert.ok(few.rate > fixed[0]!.rate - 0.01, `${few.rate}, of ${fixed[0]!.rate}`)
      assert.ok(few.bytes < 0.6 * fixed[0]!.bytes, `${few.bytes}, of ${fixed[0]!.bytes}`)
      await part(110, 20_000)
      const many = await part(110, 3000)
      assert.ok(many.rate > fixed[1]!.rate - 0.015, `${many.rate}, of ${fixed[1]!.rate}`)
      assert.ok(many.bytes > 1.2 * few.bytes, `${many.bytes}, before ${few.bytes}`)
    })
  })

  test("stay within their bounds whatever happens, and begin with the most", () => {
    const event = fc.constantFrom("hit", "cold", "missed", "ghost")
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 40 }), fc.nat(1_000_000), (events, more) => {
        const bounds = { min: 65_536, max: 65_536 + more }
        const cache = { size: 10, bytes: bounds.max }
        const size = new AdaptiveSize(bounds, cache, () => Array.from({ length: 64 }, (_, i) => i))
        assert.equal(size.maxBytes, bounds.max)
        for (const what of events) {
          // A period of one kind of look-up.
          for (let i = 0; i < 1024; i++) {
            if (what === "ghost") size.evicted(`${i}`)
            if (what === "hit" || what === "cold") size.hit(what === "hit" ? 64 : 0)
            else size.missed(`${i}`)
          }
          assert.ok(size.maxBytes >= bounds.min && size.maxBytes <= bounds.max)
        }
      })
    )
  })

  test("follow their rules: down while the least worthy are not asked for, up while what gave way is", () => {
    const cache = { size: 10, bytes: 1_000_000 }
    const size = new AdaptiveSize({ min: 100_000, max: 1_000_000 }, cache, () =>
      Array.from({ length: 64 }, (_, i) => i)
    )
    const period = (worth: number) => {
      for (let i = 0; i < 1024; i++) size.hit(worth)
      return size.maxBytes
    }
    assert.equal(period(0), 1_000_000)
    assert.equal(period(64), 937_500)
    cache.bytes = 100
    assert.equal(period(64), 937_500, "nothing would be given back")
    cache.bytes = 1_000_000
    for (let i = 0; i < 1024; i++) {
      size.evicted("again")
      size.missed(i % 100 === 0 ? "again" : "another")
    }
    const grown = size.maxBytes
    assert.ok(grown > 937_500)
    assert.equal(period(64), grown, "it waits after a step up")
  })
})

test("bounds that are none are refused", async () => {
  const bad: ReadonlyArray<CacheOptions> = [
    { ttlMs: { minMs: 0, maxMs: 5 } },
    { ttlMs: { minMs: 10, maxMs: 5 } },
    { ttlMs: { minMs: 10, maxMs: Number.POSITIVE_INFINITY } },
    { ttlMs: {} as never },
    { maxBytes: { min: 1, max: 500_000 } },
    { maxBytes: { min: 500_000, max: 400_000 } },
    { sweepMs: 0 }
  ]
  for (const options of bad)
    await assert.rejects(
      withCache(options, async () => undefined),
      InvalidParameter
    )
})
