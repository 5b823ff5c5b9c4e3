/** Answers that are written anew while what was there before them is being deleted. */
import assert from "node:assert/strict"
import { cpSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { semanticCache } from "../../src/cache.ts"
import { open } from "../../src/index.ts"
import { ask, withCache } from "./caches.ts"

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
