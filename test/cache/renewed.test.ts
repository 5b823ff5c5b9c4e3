/** Answers that are written anew while what was there before them is being deleted. */
import assert from "node:assert/strict"
import { cpSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, type TestContext, test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { type CacheOptions, type SemanticCache, semanticCache } from "../../src/cache.ts"
import { open } from "../../src/index.ts"
import { ask, type Timed, withCache } from "./caches.ts"

const VECTORS = { embedder: undefined, dimensions: 2 } as const
const ROWS = 6000

const vectorOf = (i: number) => ({ vector: [1, i] })

/** Ten entries of the tag t, before many of another. */
const fill = async (cache: Awaited<ReturnType<typeof semanticCache>>): Promise<void> => {
  for (let i = 0; i < 10; i++) await cache.set(ask(`q ${i}`), "old", { ...vectorOf(i), tags: ["t"] })
  for (let from = 10; from < ROWS; from += 500) {
    const some = Array.from({ length: Math.min(500, ROWS - from) }, (_, i) => from + i)
    await Promise.all(some.map((i) => cache.set(ask(`q ${i}`), "other", { ...vectorOf(i), tags: ["f"] })))
  }
}

test("an answer that is written while others are invalidated stays, whatever was at its place", async () => {
  await withCache(VECTORS, async ({ cache }) => {
    await fill(cache)
    const invalidating = cache.invalidate({ tag: "t" })
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
    await cache.set(ask("q 3"), "new", { ...vectorOf(3), tags: ["f"] })
    const before = await cache.get(ask("q 3"), vectorOf(3))
    assert.ok((await invalidating) >= 9)
    const after = await cache.get(ask("q 3"), vectorOf(3))
    assert.deepEqual(
      [before, after].map((hit) => hit.isHit && hit.tier === "exact" && hit.value),
      ["new", "new"]
    )
    assert.equal(cache.stats().entries, ROWS - 9)
  })
})

test("what is renewed as it is found expired stays", async () => {
  const expired = { ...VECTORS, threshold: 1, ttlMs: 1000 } as const
  await withCache(expired, async ({ cache, pass }) => {
    for (let round = 0; round < 20; round++) {
      await cache.set(ask("q"), round, vectorOf(1))
      pass(5000)
      const renewed = cache.set(ask("q"), `new ${round}`, vectorOf(1))
      await Promise.all([renewed, cache.evict()])
      const hit = await cache.get(ask("q"), vectorOf(1))
      assert.equal(hit.isHit && hit.value, `new ${round}`)
      assert.equal(cache.stats().entries, 1)
    }
  })
})

test("an entry is gone for good when its invalidation resolves, though somebody else was deleting it", async (t) => {
  const path = await mkdtemp(join(tmpdir(), "sabine-renewed-"))
  const crashed = `${path}-crashed`
  t.after(() => Promise.all([path, crashed].map((each) => rm(each, { recursive: true, force: true }))))
  await using db = await open(path)
  await using cache = await semanticCache(db, { dimensions: 2 })
  await fill(cache)
  const found = await cache.get(ask("q 3"), vectorOf(3))
  assert.ok(found.isHit)
  const invalidating = cache.invalidate({ tag: "t" })
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
  await cache.invalidate({ key: found.key })
  // In the same turn: the other invalidation is still under way.
  cpSync(path, crashed, { recursive: true })
  await invalidating
  await using reopened = await open(crashed)
  await using again = await semanticCache(reopened, { dimensions: 2 })
  const hit = await again.get(ask("q 3"), vectorOf(3))
  assert.equal(hit.isHit && hit.tier === "exact", false)
})

describe("while an answer is being written over another", () => {
  /** Calls `round` with a request of its own each time, of which an old answer is kept, and with a moment further on. */
  const rounds = async (
    t: TestContext,
    options: CacheOptions,
    round: (at: Timed & { readonly prompt: string; readonly moment: () => Promise<void> }) => Promise<void>
  ): Promise<void> => {
    const path = await mkdtemp(join(tmpdir(), "sabine-renewed-"))
    t.after(() => rm(path, { recursive: true }))
    let now = 1_000_000
    await using db = await open(path)
    await using cache = await semanticCache(db, {
      ...VECTORS,
      threshold: 1,
      clock: () => now,
      sweepMs: false,
      ...options
    })
    const pass = (ms: number) => {
      now += ms
    }
    for (let turns = 0; turns < 30; turns++) {
      const prompt = `q ${turns}`
      await cache.set({ prompt }, "old", { ...vectorOf(1), tags: ["old"] })
      const moment = async () => {
        for (let turn = 0; turn < turns; turn++) await undefined
      }
      await round({ cache, pass, prompt, moment })
    }
  }
  const renew = (cache: SemanticCache, prompt: string) =>
    cache.set({ prompt }, "new", { ...vectorOf(1), tags: ["new"] })
  const served = async (cache: SemanticCache, prompt: string) => {
    const hit = await cache.get({ prompt }, vectorOf(1))
    return hit.isHit ? hit.value : undefined
  }

  test("neither stays when both are invalidated", (t) =>
    rounds(t, {}, async ({ cache, prompt, moment }) => {
      const renewed = renew(cache, prompt)
      await moment()
      await Promise.all([cache.invalidate({ tag: "old" }), cache.invalidate({ tag: "new" }), renewed])
      assert.equal(await served(cache, prompt), undefined)
    }))

  test("it stays when a look-up meets the other expired", (t) =>
    rounds(t, { ttlMs: 1000 }, async ({ cache, pass, prompt, moment }) => {
      pass(5000)
      const renewed = renew(cache, prompt)
      await moment()
      await Promise.all([served(cache, prompt), renewed])
      // Nobody waits for what a look-up takes away.
      await setTimeout(5)
      assert.equal(await served(cache, prompt), "new")
    }))

  test("it stays when the other is rejected", (t) =>
    rounds(t, {}, async ({ cache, pass, prompt, moment }) => {
      pass(10)
      const hit = await cache.get({ prompt }, vectorOf(1))
      assert.ok(hit.isHit)
      const renewed = renew(cache, prompt)
      await moment()
      await Promise.all([hit.reject(), renewed])
      assert.equal(await served(cache, prompt), "new")
    }))

  test("it is served from its acknowledgement on, though others are being deleted with the other", (t) =>
    rounds(t, { ttlMs: 1000 }, async ({ cache, pass, prompt, moment }) => {
      const others = Array.from({ length: 40 }, (_, i) => ({ prompt: `${prompt} ${i}` }))
      await Promise.all(others.map((other) => cache.set(other, "old", vectorOf(2))))
      pass(5000)
      const renewed = renew(cache, prompt)
      await moment()
      const evicted = cache.evict()
      await renewed
      assert.equal(await served(cache, prompt), "new")
      await evicted
      assert.equal(await served(cache, prompt), "new")
    }))
})
