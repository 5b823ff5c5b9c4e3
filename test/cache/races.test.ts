/** Writes, deletions and callers who do them at the same time. */
import assert from "node:assert/strict"
import { cp, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { nearestVerifier, type SemanticCache, semanticCache } from "../../src/cache.ts"
import { open } from "../../src/index.ts"
import { ask, degrees, withCache } from "./caches.ts"

const VECTORS = { embedder: undefined, dimensions: 2 } as const

/** Bytes and entries, counted anew. */
const recounted = async (db: Awaited<ReturnType<typeof open>>) => {
  await using cache = await semanticCache(db, { dimensions: 2 })
  const { entries, bytes } = cache.stats()
  return { entries, bytes }
}

const folder = async (t: { readonly after: (work: () => Promise<void>) => void }) => {
  const path = await mkdtemp(join(tmpdir(), "sabine-races-"))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test("an answer that is invalidated while it is written is gone when the invalidation is done, and stays gone", async (t) => {
  const path = await folder(t)
  {
    await using db = await open(path)
    await using cache = await semanticCache(db, { dimensions: 2 })
    for (let turns = 0; turns < 40; turns++) {
      const prompt = `q ${turns}`
      const kept = cache.set({ prompt }, turns, { vector: [1, turns], tags: ["t"] })
      // The write has come a little further each time.
      for (let turn = 0; turn < turns; turn++) await (turns % 2 === 0 ? Promise.resolve() : new Promise(setImmediate))
      await cache.invalidate({ tag: "t" })
      assert.equal((await cache.get({ prompt }, { vector: [1, turns] })).isHit, false, `after ${turns} turns`)
      await kept
      assert.equal((await cache.get({ prompt }, { vector: [1, turns] })).isHit, false, `${turns}, once it is written`)
    }
    assert.equal(cache.stats().entries, 0)
  }
  await using db = await open(path)
  assert.deepEqual(await recounted(db), { entries: 0, bytes: 0 })
})

test("what a compaction moves meanwhile is invalidated as well", async () => {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { dimensions: 2 })
  const count = 20_000
  const keep = async (from: number, to: number, tag: string) => {
    for (let at = from; at < to; at += 500) {
      const some = Array.from({ length: Math.min(500, to - at) }, (_, i) => at + i)
      await Promise.all(some.map((i) => cache.set(ask(`q ${i}`), i, { vector: [1, i], tags: [tag] })))
    }
  }
  await keep(0, count / 2, "filling")
  await keep(count / 2, count, "t")
  await cache.invalidate({ tag: "filling" })
  const invalidating = cache.invalidate({ tag: "t" })
  // It is behind the room that was left, and entries from ahead of it are moved there.
  for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate)
  await db.compact()
  assert.deepEqual([await invalidating, cache.stats().entries], [count / 2, 0])
  for await (const { text } of cache.entries()) assert.fail(`${text} is still there`)
})

test("what several callers reject at the same time is all remembered", async (t) => {
  await using db = await open(await folder(t))
  await using cache = await semanticCache(db, { embedder: degrees(), verifier: nearestVerifier(), threshold: 0.9 })
  await cache.set(ask("cat 0"), "meow")
  const asked = [1, 2, 3, 4, 5, 6].map((angle) => ask(`cat ${angle}`))
  const hits = await Promise.all(asked.map((request) => cache.get(request)))
  await Promise.all(hits.map(async (found) => found.isHit && (await found.reject())))
  for (const request of asked) {
    const found = await cache.get(request)
    assert.ok(!found.isHit && found.reason === "rejected", request.prompt)
  }
  assert.equal((await cache.get(ask("cat 7"))).isHit, true)
})

test("what is said of an answer that was replaced since does nothing to the new one", async () => {
  await withCache({ threshold: 0.9 }, async ({ cache, pass }) => {
    await cache.set(ask("cat 0"), "old")
    const [exact, near] = [await cache.get(ask("cat 0")), await cache.get(ask("cat 5"))]
    assert.ok(exact.isHit && near.isHit)
    pass(1)
    await cache.set(ask("cat 0"), "new")
    await Promise.all([exact.reject(), near.reject()])
    for (const prompt of ["cat 0", "cat 5"]) {
      const found = await cache.get(ask(prompt))
      assert.ok(found.isHit && found.value === "new", prompt)
    }
  })
})

test("entries and bytes add up after writes, rejections, evictions and deletions of the same few keys at once", async (t) => {
  for (const path of [":memory:", await folder(t)]) {
    await using db = await open(path)
    const options = { ...VECTORS, maxEntries: 6, threshold: 0.5, verifier: nearestVerifier() }
    {
      await using cache = await semanticCache(db, options)
      const some = async (cache: SemanticCache, i: number): Promise<unknown> => {
        const request = ask(`q ${i % 9}`)
        const vector = [1, i % 9]
        if (i % 7 === 0) return cache.invalidate({ tag: `t${i % 3}` })
        if (i % 5 === 0) {
          const found = await cache.get(request, { vector })
          return found.isHit ? found.reject() : undefined
        }
        return cache.set(request, "x".repeat((i * 37) % 900), { vector, tags: [`t${i % 3}`] })
      }
      for (let round = 0; round < 20; round++) {
        await Promise.all(Array.from({ length: 25 }, (_, i) => some(cache, round * 25 + i)))
        await cache.evict()
        const { entries, bytes, stored, evicted, invalidated } = cache.stats()
        assert.deepEqual({ entries, bytes }, await recounted(db), `round ${round}`)
        assert.ok(entries <= 6 && evicted + invalidated <= stored)
      }
    }
  }
})

test("of a full cache that several write to, what was just kept is there", async (t) => {
  const answer = "x".repeat(2000)
  for (const path of [":memory:", await folder(t)]) {
    await using db = await open(path)
    await using cache = await semanticCache(db, { dimensions: 2, maxBytes: 400_000 })
    let asked = 0
    const keep = async () => {
      while (asked < 2000) {
        const request = ask(`q ${asked++}`)
        await cache.set(request, answer, { vector: [1, asked] })
        assert.equal((await cache.get(request, { vector: [1, asked] })).isHit, true, request.prompt)
      }
    }
    await Promise.all(Array.from({ length: 8 }, keep))
    assert.ok(cache.stats().evicted > 1000)
  }
})

test("what is deleted together is gone for who opens the folder after a crash, and counted again where it failed", async (t) => {
  const path = await folder(t)
  await using db = await open(path)
  await using cache = await semanticCache(db, VECTORS)
  const request = (i: number) => ({ ...ask(`q ${i}`), model: `model ${i % 3}` })
  const set = (i: number) => cache.set(request(i), i, { vector: [1, i], tags: [i % 5 === 0 ? "stays" : "goes"] })
  await Promise.all(Array.from({ length: 400 }, (_, i) => set(i)))
  assert.equal(await cache.invalidate({ tag: "goes" }), 320)
  const crashed = join(await folder(t), "crashed")
  await cp(path, crashed, { recursive: true, filter: (name) => !name.endsWith("lock") })
  {
    await using after = await open(crashed)
    await using same = await semanticCache(after, VECTORS)
    assert.equal(same.stats().entries, 80)
    for (let i = 0; i < 400; i++) {
      const found = await same.get(request(i), { vector: [1, i] })
      assert.equal(found.isHit && found.tier === "exact", i % 5 === 0, `q ${i}`)
    }
  }
  await db.checkpoint("before")
  await db.restore("before")
  await assert.rejects(cache.invalidate({ tag: "stays" }), { _tag: "CollectionReplaced" })
  assert.equal(cache.stats().entries, 80)
})

test("who writes to a full cache waits for room, not until others are done with it", async () => {
  const answer = "x".repeat(2000)
  await using db = await open(":memory:")
  await using cache = await semanticCache(db, { dimensions: 2, maxBytes: 400_000 })
  let asked = 0
  const write = () => cache.set(ask(`q ${asked++}`), answer, { vector: [1, asked] })
  while (cache.stats().bytes < 390_000 && cache.stats().evicted === 0) await write()
  let isOver = false
  const busy = Array.from({ length: 4 }, async () => {
    while (!isOver) await write()
  })
  // Four others keep it over the bound at which eviction ends for as long as this one writes.
  for (let i = 0; i < 500; i++) await write()
  isOver = true
  await Promise.all(busy)
  assert.ok(asked > 1500, `${asked} writes`)
})

test("a large cache can be evicted to a few entries, which no sample meets any more", async () => {
  await using db = await open(":memory:")
  {
    await using cache = await semanticCache(db, VECTORS)
    for (let from = 0; from < 6000; from += 500) {
      const some = Array.from({ length: 500 }, (_, i) => from + i)
      await Promise.all(some.map((i) => cache.set(ask(`q ${i}`), i, { vector: [1, i] })))
    }
  }
  await using cache = await semanticCache(db, { ...VECTORS, maxEntries: 2 })
  await cache.evict()
  assert.deepEqual([cache.stats().entries, cache.stats().evicted], [2, 5998])
})

test("hits and misses are all look-ups, whoever asks and however it ends", async () => {
  await withCache({ threshold: 0.9, ttlMs: 150 }, async ({ cache, pass }) => {
    const model = cache.wrap(async ({ prompt }) => prompt)
    const names = ["cat", "dog", "sun", "?"]
    for (let i = 0; i < 200; i++) {
      const request = ask(`${names[i % 4]} ${(i * 7) % 30}`)
      await Promise.all([cache.get(request), model(request), model(request), model(request, { source: "refresh" })])
      if (i % 10 === 0) pass(20)
    }
    const { hits, misses, lookUps, latency } = cache.stats()
    const missed = Object.values(misses).reduce((sum, count) => sum + count, 0)
    assert.equal(hits.exact + hits.semantic + missed, lookUps)
    assert.equal(
      latency.buckets.reduce((sum, count) => sum + count, 0),
      lookUps
    )
    assert.ok(hits.semantic > 0 && hits.exact > 0 && missed > 0, JSON.stringify(cache.stats()))
  })
})

test("what was to be deleted when a clock threw is not hidden for good", { timeout: 20_000 }, async () => {
  let now = 1_000_000
  let reads = Number.POSITIVE_INFINITY
  const clock = () => {
    if (--reads < 0) throw new RangeError("no time")
    return now
  }
  await withCache({ ...VECTORS, ttlMs: 1000, sweepMs: false, clock }, async ({ cache }) => {
    for (let i = 0; i < 20; i++) await cache.set(ask(`q ${i}`), i, { vector: [1, i] })
    now += 5000
    // All are looked at twice: it throws in the midst of the second time.
    reads = 30
    await assert.rejects(cache.evict())
    reads = Number.POSITIVE_INFINITY
    assert.equal(cache.stats().entries, 20)
    await cache.evict()
    assert.equal(cache.stats().entries, 0)
  })
})
