/** What is to be gone is gone: at once, whole, and nothing else. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { SemanticCache } from "../../src/cache.ts"
import { invalidateStarting } from "../../src/cli/cache/scopes.ts"
import type { Embedder } from "../../src/index.ts"
import { turnsOf } from "../turns.ts"
import { ask, degrees, gate, withCache } from "./caches.ts"

const NAMES = ["cat 0", "dog 0", "sun 0"] as const

const there = async (cache: SemanticCache): Promise<ReadonlyArray<string>> => {
  const found = await Promise.all(NAMES.map(async (name) => (await cache.get(ask(name))).isHit))
  return NAMES.filter((_, i) => found[i])
}

test("by key, tag, source, scope and age, and by several of them at once", async () => {
  await withCache({}, async ({ cache, pass }) => {
    const fill = async () => {
      await cache.set(ask("cat 0"), 1, { tags: ["pets", "a"], sources: ["cats.md"] })
      pass(100)
      await cache.set(ask("dog 0"), 2, { tags: ["pets"], sources: ["dogs.md", "cats.md"] })
      pass(100)
      await cache.set(ask("sun 0"), 3)
      await cache.set({ prompt: "cat 0" }, 4)
      pass(100)
    }
    await fill()
    assert.equal(await cache.invalidate({ tag: "pets" }), 2)
    assert.deepEqual(await there(cache), ["sun 0"])
    await fill()
    assert.equal(await cache.invalidate({ source: "dogs.md" }), 1)
    assert.deepEqual(await there(cache), ["cat 0", "sun 0"])
    await fill()
    assert.equal(await cache.invalidate({ olderThanMs: 200 }), 2)
    assert.deepEqual(await there(cache), ["sun 0"])
    await fill()
    assert.equal(await cache.invalidate({ scope: ask("whatever") }), 3)
    assert.deepEqual(await there(cache), [])
    assert.equal((await cache.get({ prompt: "cat 0" })).isHit, true)
    await fill()
    const { key } = await cache.get(ask("dog 0"))
    const other = { prompt: "dog 0" }
    assert.equal(await cache.invalidate({ key, scope: other }), 0)
    assert.equal(await cache.invalidate({ key, scope: ask("") }), 1)
    assert.equal(await cache.invalidate({ key }), 0)
    assert.deepEqual(await there(cache), ["cat 0", "sun 0"])
    await fill()
    assert.equal(await cache.invalidate({ tag: "pets", source: "cats.md", olderThanMs: 250 }), 1)
    assert.deepEqual(await there(cache), ["dog 0", "sun 0"])
    const { invalidated, entries } = cache.stats()
    assert.deepEqual([invalidated, entries], [10, 3])
    for await (const { scope, text } of cache.entries()) {
      if (text === "dog 0") assert.equal(await cache.invalidate({ scope }), 2)
    }
    assert.deepEqual(await there(cache), [])
    for (const scope of ["", "ab", "g".repeat(64), null]) {
      await assert.rejects(cache.invalidate({ scope: scope as string }), { _tag: "InvalidParameter" })
    }
    assert.equal(cache.stats().entries, 1)
  })
})

test("nothing is served from the call on, wherever the invalidation has come to", async () => {
  await withCache({ embedder: undefined, dimensions: 2, threshold: 0.5 }, async ({ cache }) => {
    const count = 3000
    const at = (i: number) => ({ vector: [1, i], tags: ["t"] })
    for (let from = 0; from < count; from += 500) {
      await Promise.all(Array.from({ length: 500 }, (_, i) => cache.set(ask(`q ${from + i}`), i, at(from + i))))
    }
    const invalidating = cache.invalidate({ tag: "t" })
    const found = [
      await cache.get(ask(`q ${count - 1}`), at(count - 1)),
      await cache.get(ask("another"), at(count - 1)),
      await cache.get(ask("q 0"), at(0))
    ]
    assert.deepEqual(
      found.map(({ isHit }) => isHit),
      [false, false, false]
    )
    assert.equal(await invalidating, count)
    assert.equal(cache.stats().entries, 0)
    assert.ok(Math.abs(cache.stats().bytes) < 1e-6)
    assert.equal((await cache.set(ask("q 0"), "new", at(0))).isKept, true)
    assert.equal((await cache.get(ask("q 0"))).isHit, true)
  })
})

test("an answer is as old as what it says: set before entries of any age were invalidated, it is not kept after", async () => {
  const embedding = gate()
  const embedder = degrees()
  const slow: Embedder = {
    ...embedder,
    embed: async (texts, signal) => {
      await embedding.promise
      return embedder.embed(texts, signal)
    }
  }
  await withCache({ embedder: slow }, async ({ cache, pass }) => {
    const setting = cache.set(ask("cat 0"), "old")
    pass(10)
    assert.equal(await cache.invalidate({ olderThanMs: 0 }), 0)
    pass(1)
    embedding.resolve()
    const kept = await setting
    assert.ok(!kept.isKept && kept.reason === "invalidated")
    assert.equal((await cache.set(ask("cat 0"), "new")).isKept, true)
  })
})

test("a scope is of a request whose last message may be long, and nothing of it is served from the call on", async () => {
  await withCache({}, async ({ cache }) => {
    await cache.set(ask("cat 0"), 1)
    const invalidating = cache.invalidate({ scope: ask("x".repeat(1_000_000)) })
    assert.equal((await cache.get(ask("cat 0"))).isHit, false)
    assert.equal(await invalidating, 1)
  })
})

test("scopes whose hash starts so are invalidated by a command that goes over the entries once, however many they are", async () => {
  const count = 1000
  await withCache({ embedder: undefined, dimensions: 2 }, async ({ cache }) => {
    const set = (i: number) => cache.set({ tenant: `${i}`, prompt: "cat 0" }, i, { vector: [1, 0], tags: [`${i % 2}`] })
    await Promise.all(Array.from({ length: count }, (_, i) => set(i)))
    const scopes = new Set<string>()
    for await (const { scope } of cache.entries()) scopes.add(scope)
    const those = Array.from(scopes).filter((scope) => scope.startsWith("a")).length
    assert.equal(await invalidateStarting(cache, "a", { tag: "none" }), 0)
    const turns = await turnsOf(async () => assert.equal(await invalidateStarting(cache, "a", {}), those))
    assert.ok(those > 30 && turns < 3 * count, `${turns} turns for ${those} of ${count}`)
    assert.equal(cache.stats().entries, count - those)
  })
})
