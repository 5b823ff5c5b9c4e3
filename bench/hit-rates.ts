/** Share of questions that are answered from a cache that holds a small part of them, by what gives way. */
import { type CacheOptions, nearestVerifier, semanticCache } from "../src/cache.ts"
import { open } from "../src/index.ts"
import type { Measured } from "./figure.ts"
import { DIMENSIONS, WORKLOADS } from "./workloads.ts"

const QUESTIONS = 20_000
const CAPACITY = 500
const NAMES = ["diversity", "lru", "lfu", "fifo"] as const

export async function* hitRates(): AsyncGenerator<Measured> {
  for (const { name, questions } of WORKLOADS) {
    const rates = new Map<string, number>()
    for (const eviction of NAMES) {
      let now = 0
      const options: CacheOptions = {
        dimensions: DIMENSIONS,
        verifier: nearestVerifier(),
        threshold: 0.88,
        maxEntries: CAPACITY,
        eviction,
        clock: () => ++now
      }
      await using db = await open(":memory:")
      await using cache = await semanticCache(db, options)
      let hits = 0
      for (const { intent, text, vector } of questions(QUESTIONS)) {
        const found = await cache.get({ prompt: text }, { vector })
        if (found.isHit) hits++
        else await cache.set({ prompt: text }, intent, { vector })
      }
      rates.set(eviction, hits / QUESTIONS)
    }
    const best = Math.max(rates.get("lru")!, rates.get("lfu")!)
    for (const eviction of NAMES) {
      const value = 100 * rates.get(eviction)!
      const against =
        eviction === "diversity" ? { against: "the better of lru and lfu", ratio: value / 100 / best } : {}
      yield { case: `hits, ${eviction}, ${name}`, value, unit: "%", ...against }
    }
  }
}
