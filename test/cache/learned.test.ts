/** What a cache learned of times to live and of its size is there when it is opened again, and does no harm where it is damaged. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { type CacheOptions, type SemanticCache, semanticCache } from "../../src/cache.ts"
import { AdaptiveTtl } from "../../src/core/cache/adaptive-ttl.ts"
import { type Database, open } from "../../src/index.ts"

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const MAX = 400_000
const TTL = { minMs: MINUTE, maxMs: DAY }
const SIZE = { min: 65_536, max: MAX }
/** Key of the record that it lies in. */
const RECORD = "learned"

/** What the record holds. */
interface State {
  readonly version: number
  readonly size: { readonly maxBytes: number }
  readonly ttl: { readonly scopes: ReadonlyArray<object> }
}

/** Every question has a direction of its own. */
const at = (i: number) => ({ vector: Float32Array.from({ length: 8 }, (_, c) => Math.sin((i + 1) * (c + 1.37))) })

/** A database, and caches in it whose clock stands still unless it is moved. */
const withDatabase = async (
  use: (timed: {
    db: Database
    openCache: (options: CacheOptions) => Promise<SemanticCache>
    pass: (ms: number) => void
  }) => Promise<void>,
  path = ":memory:"
) => {
  let now = 1_000_000
  await using db = await open(path)
  const openCache = (options: CacheOptions) =>
    semanticCache(db, { dimensions: 8, threshold: 1, floor: 1, sweepMs: false, clock: () => now, ...options })
  await use({
    db,
    openCache,
    pass: (ms) => {
      now += ms
    }
  })
}

/** Every question is asked again within five minutes. */
const useSoon = async (cache: SemanticCache, pass: (ms: number) => void) => {
  for (let minute = 0; minute < 1000; minute++) {
    const request = { prompt: `q ${minute}` }
    await cache.set(request, minute, at(minute))
    await cache.get({ prompt: `q ${Math.max(0, minute - (minute % 5))}` })
    pass(MINUTE)
  }
}

/** A full cache of which few entries are asked for. */
const useFew = async (cache: SemanticCache) => {
  for (let i = 0; i < 300; i++) await cache.set({ prompt: `q ${i}` }, "x".repeat(2000), at(i))
  for (let i = 0; i < 12_000; i++) await cache.get({ prompt: `q ${290 + (i % 10)}` })
}

/** Lives of entries that are written now: those that always live longest, one of eight, left out. */
const shortestMs = async (cache: SemanticCache) => {
  for (let i = 0; i < 16; i++) await cache.set({ prompt: `new ${i}` }, i, at(10_000 + i))
  const lives: Array<number> = []
  for await (const { text, expires, ageMs } of cache.entries()) {
    if (text.startsWith("new")) lives.push(expires - (1_000_000 - ageMs))
  }
  return lives
}

const ttlOf = (cache: SemanticCache) => cache.stats().ttl?.usualMs

test("times to live that were learned are those of the cache when it is opened again, also of another process", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-learned-"))
  try {
    let learned = 0
    await withDatabase(async ({ openCache, pass }) => {
      await using cache = await openCache({ ttlMs: TTL })
      assert.equal(ttlOf(cache), DAY)
      await useSoon(cache, pass)
      learned = ttlOf(cache)!
      assert.ok(learned < 10 * MINUTE, `${learned}`)
    }, folder)
    await withDatabase(async ({ openCache }) => {
      await using cache = await openCache({ ttlMs: TTL })
      assert.equal(ttlOf(cache), learned)
      assert.equal(cache.stats().ttl?.scopes, 1)
      const lives = await shortestMs(cache)
      assert.ok(Math.min(...lives) < 10 * MINUTE, `${lives}`)
    }, folder)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test("bounds that changed hold for what was learned", async () => {
  await withDatabase(async ({ openCache, pass }) => {
    {
      await using cache = await openCache({ ttlMs: TTL, maxBytes: SIZE })
      await useSoon(cache, pass)
      await useFew(cache)
      const { maxBytes } = cache.stats()
      assert.ok(maxBytes < 0.9 * MAX, `${maxBytes}`)
    }
    {
      // A cache that learns nothing leaves what was learned as it is.
      await using cache = await openCache({})
      assert.equal(cache.stats().maxBytes, 500_000_000)
      assert.equal(cache.stats().ttl, undefined)
    }
    {
      await using cache = await openCache({ ttlMs: TTL, maxBytes: SIZE })
      assert.ok(cache.stats().maxBytes < 0.9 * MAX)
      assert.ok(ttlOf(cache)! < 10 * MINUTE)
    }
    {
      await using cache = await openCache({
        ttlMs: { minMs: 60 * MINUTE, maxMs: DAY },
        maxBytes: { min: 390_000, max: MAX }
      })
      assert.equal(cache.stats().maxBytes, 390_000)
      assert.equal(ttlOf(cache), 60 * MINUTE)
    }
    {
      await using cache = await openCache({
        ttlMs: { minMs: 1, maxMs: MINUTE },
        maxBytes: { min: 65_536, max: 70_000 }
      })
      assert.equal(cache.stats().maxBytes, 70_000)
      assert.equal(ttlOf(cache), MINUTE)
    }
    // It stood at its bound, and so it does when that is higher.
    await using cache = await openCache({ ttlMs: TTL, maxBytes: SIZE })
    assert.equal(cache.stats().maxBytes, MAX)
    // Ages were seen of entries that lived for a minute at most: that says nothing of longer ones until it has watched.
    assert.equal(ttlOf(cache), DAY)
  })
})

test("what was learned is kept about every minute, so that a process that is killed loses no more", async () => {
  await withDatabase(async ({ db, openCache, pass }) => {
    await using cache = await openCache({ ttlMs: TTL })
    const collection = await db.collection("cache")
    await cache.get({ prompt: "q" })
    assert.equal(await collection.get(RECORD), undefined)
    pass(MINUTE)
    await cache.get({ prompt: "q" })
    for (let i = 0; i < 100 && (await collection.get(RECORD)) === undefined; i++) {
      await new Promise((done) => setTimeout(done, 10))
    }
    assert.notEqual(await collection.get(RECORD), undefined)
    assert.equal(cache.stats().entries, 0, "it is no entry of the cache")
  })
})

test("what is damaged or of somebody else is as if nothing had been learned, and is replaced", async () => {
  await withDatabase(async ({ db, openCache, pass }) => {
    {
      await using cache = await openCache({ ttlMs: TTL, maxBytes: SIZE })
      await useSoon(cache, pass)
      await useFew(cache)
    }
    const collection = await db.collection("cache")
    const { version, size, ttl } = (await collection.get(RECORD))!.payload as unknown as State
    const [scope] = ttl.scopes
    const damaged = [
      null,
      "text",
      new Uint8Array(10),
      { version: 2, size, ttl },
      { version, size: null, ttl: [] },
      { version, size: { ...size, maxBytes: "1" }, ttl: { ...ttl, watchedMs: -1 } },
      { version, size: { ...size, maxBytes: -5 }, ttl: { ...ttl, counts: [1] } },
      { version, size: { ...size, wait: 1e9 }, ttl: { ...ttl, counts: [160, 1] } },
      { version, size: { ...size, waiting: 0.5 }, ttl: { ...ttl, counts: [1, -1] } },
      { version, size: { ...size, max: 1 }, ttl: { ...ttl, counts: [1, 1e9] } },
      { version, size: {}, ttl: { ...ttl, maxMs: null } },
      { version, size: {}, ttl: { ...ttl, scopes: [scope, null] } },
      { version, size: {}, ttl: { ...ttl, scopes: Array.from({ length: 1025 }, () => scope) } },
      { version, size: {}, ttl: { ...ttl, scopes: [{ ...scope, namespace: 1 }] } }
    ]
    for (const payload of damaged) {
      await collection.update({ key: RECORD, payload: payload as never })
      await using cache = await openCache({ ttlMs: TTL, maxBytes: SIZE })
      assert.deepEqual([cache.stats().maxBytes, ttlOf(cache)], [MAX, DAY], JSON.stringify(payload))
    }
    // One part that is as it was is believed, whatever the other is.
    await collection.update({ key: RECORD, payload: { version, size, ttl: 1 } })
    await using cache = await openCache({ ttlMs: TTL, maxBytes: SIZE })
    assert.equal(cache.stats().maxBytes, size.maxBytes)
    assert.equal(ttlOf(cache), DAY)
  })
})

test("what is kept of the most scopes there may be is bounded and is of those served last", () => {
  let now = 0
  const ttl = new AdaptiveTtl({ minMs: 1, maxMs: 2 ** 40 }, () => now)
  // As many as there may be with a number or two each, before few with all of them.
  for (let scope = 0; scope < 2000; scope++) {
    for (let i = 0; i < (scope < 1600 ? 2 : 160); i++) ttl.served(`n${scope}`, "H", 2 ** (i / 4), 2 ** 40)
  }
  now = DAY
  const kept = JSON.stringify(ttl)
  assert.ok(kept.length < 65_536, `${kept.length}`)
  const again = new AdaptiveTtl({ minMs: 1, maxMs: 2 ** 40 }, () => now, JSON.parse(kept))
  assert.deepEqual(JSON.parse(JSON.stringify(again)), JSON.parse(kept))
  assert.match(kept, /"n1999"/)
  assert.doesNotMatch(kept, /"n0"/)
})
