/** Retrievals that are remembered: what they are found by, and when they are void. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { RecallPool, SimilarOptions } from "../../src/recall.ts"
import { Clock, DIMENSIONS, embedder, vectorsOf, withPool } from "./pools.ts"

const unit = (vector: Float32Array): Float32Array => vector.map((x) => x / Math.hypot(...vector))
const query = unit(vectorsOf(50, 1)[0]!)
const clock = new Clock()

const withItems = (use: (pool: RecallPool) => Promise<void>) =>
  withPool({ clock: clock.read, fields: { lang: "tag" } }, async (pool) => {
    const items = vectorsOf(51, 40).map((embedding, i) => ({
      key: `${i}`,
      embedding,
      class: `c${i % 2}`,
      payload: { i }
    }))
    await pool.addMany(items)
    await use(pool)
  })

const cacheOf = (pool: RecallPool) => pool.stats().queryCache!

/** Every way of retrieval, each with options of its own. */
const WAYS: ReadonlyArray<(pool: RecallPool, query: ArrayLike<number>) => Promise<unknown>> = [
  (pool, query) => pool.similar(query),
  (pool, query) => pool.similar(query, { k: 4 }),
  (pool, query) => pool.similar(query, { filter: { class: "c1" } }),
  (pool, query) => pool.byClass("c0", { query }),
  (pool, query) => pool.byClass("c1", { query, k: 2 }),
  (pool, query) => pool.balanced(query),
  (pool, query) => pool.diverse(query, { lambda: 0.2 }),
  (pool, query) => pool.diverse(query, { lambda: 0.9 }),
  (pool, query) => pool.hybrid(query),
  (pool, query) => pool.hybrid(query, { weights: { similarity: 1, utility: 0, class: 0 } }),
  (pool) => pool.byUtility(),
  (pool) => pool.byUtility({ k: 5 })
]

describe("a retrieval", () => {
  test("is found again by every way, by what is near enough, and by nothing else", async () => {
    await withItems(async (pool) => {
      const first = await Promise.all(WAYS.map((way) => way(pool, query!)))
      assert.deepEqual([cacheOf(pool).hits, cacheOf(pool).misses], [0, WAYS.length])
      const again = await Promise.all(
        WAYS.map((way) =>
          way(
            pool,
            query!.map((x) => x + 0.0005)
          )
        )
      )
      assert.equal(cacheOf(pool).hits, WAYS.length)
      for (const [i, found] of again.entries()) assert.equal(found, first[i])
      for (const way of WAYS.slice(0, -2))
        await way(
          pool,
          query!.map((x, i) => x + (i === 3 ? 0.002 : 0))
        )
      assert.equal(cacheOf(pool).hits, WAYS.length)
      assert.ok(cacheOf(pool).bytes > 0 && cacheOf(pool).entries >= 3)
    })
  })

  test("of short queries is found by their direction, whatever their length", async () => {
    await withItems(async (pool) => {
      const [other] = vectorsOf(54, 1)
      const [short, otherShort] = [query!, other!].map((vector) => vector.map((x) => x * 1e-5)) as [
        Float32Array,
        Float32Array
      ]
      const found = await pool.similar(short)
      const keys = (items: typeof found) => items.map(({ key }) => key)
      const [wanted, wantedOther] = await Promise.all([query!, other!].map((vector) => pool.similar(vector, { k: 4 })))
      assert.deepEqual(keys(found), keys(wanted!).slice(0, 3))
      assert.deepEqual(keys(await pool.similar(otherShort)), keys(wantedOther!).slice(0, 3))
      assert.equal(cacheOf(pool).hits, 0)
      assert.equal(await pool.similar([...short.map((x) => 2 * x)]), found)
    })
  })

  test("is looked for by numbers alone", async () => {
    await withItems(async (pool) => {
      await pool.similar(query!)
      const texts = [...query!].map(String) as unknown as ReadonlyArray<number>
      await assert.rejects(pool.similar(texts), { _tag: "InvalidParameter", parameter: "vector" })
      const integers = [...query!].map(() => 1n) as unknown as ReadonlyArray<number>
      await assert.rejects(pool.similar(integers), { _tag: "InvalidParameter", parameter: "vector" })
    })
  })

  test("is void after every change of the pool, and for hybrid after a minute", async () => {
    await withItems(async (pool) => {
      const changes: ReadonlyArray<() => Promise<unknown>> = [
        () => pool.add({ key: "new", embedding: query! }),
        () => pool.remove("new"),
        () => pool.feedback([{ key: "1", deltaLoss: 1 }]),
        async () => pool.useBias({ version: 1, classes: {} }),
        () => pool.clear()
      ]
      for (const change of changes) {
        await pool.similar(query!, { k: 40 })
        const { hits, invalidated } = cacheOf(pool)
        await change()
        const after = await pool.similar(query!, { k: 40 })
        assert.equal(cacheOf(pool).hits, pool.stats().items === 0 ? 0 : hits)
        assert.ok(cacheOf(pool).invalidated === invalidated + 1 || cacheOf(pool).entries === 1)
        assert.equal(after.length, Math.min(40, pool.stats().items))
      }
    })
    await withItems(async (pool) => {
      await pool.hybrid(query!)
      await pool.hybrid(query!)
      assert.equal(cacheOf(pool).hits, 1)
      clock.now += 61_000
      await pool.hybrid(query!)
      assert.equal(cacheOf(pool).hits, 1)
    })
  })

  test("takes the bytes of what it returns, which has no embeddings", async () => {
    await withPool({ dimensions: 4096, queryCache: { maxBytes: 100_000 } }, async (pool) => {
      const vectors = vectorsOf(53, 10, 4096)
      await pool.addMany(vectors.map((embedding, i) => ({ key: `${i}`, embedding })))
      for (const vector of vectors.slice(0, 4)) await pool.similar(vector, { k: 10 })
      const { entries, bytes } = cacheOf(pool)
      assert.equal(entries, 4)
      assert.ok(bytes > 4 * 4 * 4096 && bytes <= 100_000)
    })
  })

  test("cannot be changed by who has it, counts as used when it is found again, and is off when it is not wanted", async () => {
    await withItems(async (pool) => {
      const [item] = await pool.similar(query!)
      assert.throws(() => {
        ;(item!.payload as { i: number }).i = -1
      }, TypeError)
      assert.throws(() => (item as { score: number }).score++, TypeError)
    })
    const vectors = vectorsOf(52, 3)
    await withPool({ maxSize: 3, eviction: "leastRecentlyUsed" }, async (pool) => {
      await pool.addMany(vectors.map((embedding, i) => ({ key: `${i}`, embedding })))
      for (const vector of [vectors[0]!, vectors[1]!, vectors[2]!, vectors[0]!]) await pool.similar(vector, { k: 1 })
      assert.equal(cacheOf(pool).hits, 1)
      await pool.add({ embedding: query! })
      assert.deepEqual([(await pool.get("0"))?.key, await pool.get("1")], ["0", undefined])
    })
    await withPool({ queryCache: false }, async (pool) => {
      await pool.similar(query!)
      assert.equal(pool.stats().queryCache, undefined)
    })
  })

  test("is told from others by the direction of its embedding, however short it is", async () => {
    await withPool({}, async (pool) => {
      const along = (at: number, length: number) => new Float32Array(DIMENSIONS).fill(length, at, at + 1)
      await pool.addMany([0, 1].map((at) => ({ key: `${at}`, embedding: along(at, 1) })))
      assert.equal((await pool.similar(along(0, 1e-4), { k: 1 }))[0]?.key, "0")
      assert.equal((await pool.similar(along(1, 1e-4), { k: 1 }))[0]?.key, "1")
      await assert.rejects(pool.similar(new Float32Array(DIMENSIONS), { k: 1 }), { _tag: "InvalidVector" })
      await assert.rejects(pool.similar([1n] as unknown as Array<number>), { _tag: "DimensionMismatch" })
    })
  })

  test("is found again by the same text", async () => {
    await withPool({ dimensions: undefined, embedder }, async (pool) => {
      await pool.addMany(["the cat", "the dog"].map((text) => ({ text })))
      const first = await pool.similar("a cat")
      assert.equal(await pool.similar("a cat"), first)
      assert.deepEqual([cacheOf(pool).hits, cacheOf(pool).misses], [1, 1])
      await pool.clear()
      assert.deepEqual([cacheOf(pool).hits, cacheOf(pool).misses], [0, 0])
    })
  })

  test("by when items were used last is found anew: it changes that itself", async () => {
    await withItems(async (pool) => {
      const unused = { k: 3, filter: { used: { lte: clock.now + 1 } } }
      clock.now += 1000
      const seen = new Set<string>()
      for (let i = 0; i < 5; i++) for (const { key } of await pool.similar(query, unused)) seen.add(key)
      for (const { key } of await pool.byUtility({ ...unused, filter: { not: { used: { gt: clock.now - 999 } } } }))
        seen.add(key)
      assert.equal(seen.size, 18)
      assert.equal(cacheOf(pool).entries, 0)
    })
    await withPool({}, async (pool) => {
      await pool.add({ key: "a", embedding: query, class: '"used":' })
      assert.equal(await pool.byClass('"used":'), await pool.byClass('"used":'))
    })
  })

  test("is told from others by each of its options", async () => {
    const apart = {
      similar: {
        k: [2, 4],
        minSimilarity: [-1, 0.5],
        index: ["flat", "auto"],
        filter: [{ class: "c0" }, { lang: "en" }]
      },
      balanced: { perClass: [1, 2], classes: [["c0"], ["c1"]], minSimilarity: [-1, 0.5], filter: [{}, { lang: "en" }] },
      diverse: { k: [2, 4], lambda: [0, 1], candidates: [30, 40], fast: [true, false], minDispersion: [0, 1] },
      hybrid: {
        k: [2, 4],
        class: ["c0", "c1"],
        weights: [{ class: 1 }, { class: 0 }],
        decay: [0.1, 0.2],
        lambda: [0, 1],
        candidates: [30, 40]
      }
    } as const
    await withItems(async (pool) => {
      let seed = 100
      for (const [way, options] of Object.entries(apart)) {
        for (const [name, [one, other]] of Object.entries(options)) {
          const [asked] = vectorsOf(seed++, 1)
          const call = (value: unknown) => pool[way as keyof typeof apart](asked!, { [name]: value })
          const { hits } = cacheOf(pool)
          const first = await call(one)
          const second = await call(other)
          assert.equal(cacheOf(pool).hits, hits, `${way} by ${name}`)
          assert.deepEqual([(await call(one)) === first, (await call(other)) === second], [true, true])
        }
      }
    })
  })

  test("is told apart by the options that there are alone", async () => {
    await withItems(async (pool) => {
      const found = await pool.similar(query)
      const others = { of: 1n, toString: () => "similar", circular: {} as Record<string, unknown> }
      others.circular["self"] = others
      assert.equal(await pool.similar(query, others as object), found)
      assert.equal(await pool.similar(query, { weights: others } as object), found)
    })
  })

  test("is told apart by what was asked, however it was written", async () => {
    await withItems(async (pool) => {
      const usual = await pool.similar(query)
      const inherited = Object.create({ k: 20, filter: { class: "c1" } }) as SimilarOptions
      const ofOne = await pool.similar(query, inherited)
      assert.notEqual(ofOne, usual)
      assert.ok(ofOne.every((item) => item.class === "c1"))
      assert.equal(await pool.similar(query, { filter: { class: "c1" }, k: 20 }), ofOne)
      assert.equal(await pool.similar(query, { k: usual.length, minSimilarity: undefined }), usual)
      assert.ok((await pool.balanced(query, inherited)).every((item) => item.class === "c1"))
      const { length } = await pool.byClass("c1")
      assert.equal((await pool.byClass("c1", Object.create({ k: length - 1 }) as SimilarOptions)).length, length - 1)
    })
  })

  test("is by the filter as it was when it was asked", async () => {
    await withItems(async (pool) => {
      const filter = { class: "c1" }
      const asked = pool.similar(query, { filter })
      filter.class = "c0"
      assert.ok((await asked).every((item) => item.class === "c1"))
      assert.ok((await pool.similar(query, { filter: { class: "c1" } })).every((item) => item.class === "c1"))
      const wrong = { utility: 1n } as unknown as { utility: number }
      await assert.rejects(pool.similar(query, { filter: wrong }), { _tag: "InvalidParameter" })
    })
  })
})
