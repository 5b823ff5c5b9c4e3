/** The pool: what it holds, who gives way, and what it refuses. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { open } from "../../src/index.ts"
import { type EvictionName, recallPool } from "../../src/recall.ts"
import { Clock, cosine, DIMENSIONS, embedder, vectorsOf, withPool } from "./pools.ts"

const tagged = (tag: string) => (error: unknown) => {
  assert.equal((error as { _tag?: string })._tag, tag, String(error))
  return true
}

const keysOf = (found: ReadonlyArray<{ readonly key: string }>) => found.map(({ key }) => key)

describe("items", () => {
  test("come back with everything they were given, their embedding at length 1", async () => {
    await withPool({ fields: { lang: "tag" } }, async (pool) => {
      const [embedding] = vectorsOf(1, 1)
      const item = { key: "a", embedding: embedding!, payload: { text: "x" }, class: "c", utility: 0.25 }
      assert.equal(await pool.add({ ...item, fields: { lang: "en" } }), "a")
      const found = await pool.get("a")
      assert.deepEqual(found?.payload, { text: "x" })
      assert.equal(found?.class, "c")
      assert.equal(found?.utility, 0.25)
      assert.deepEqual({ ...found?.fields }, { lang: "en" })
      assert.ok(Math.abs(cosine(found!.embedding, found!.embedding) - 1) < 1e-6)
      assert.ok(cosine(found!.embedding, embedding!) > 0.99999)
      assert.equal(await pool.get("b"), undefined)
    })
  })

  test("know when they were added and when a retrieval returned them last, which to get them is not", async () => {
    const clock = new Clock()
    await withPool({ clock: clock.read }, async (pool) => {
      const [near, far] = vectorsOf(13, 2)
      const came = clock.now
      await pool.addMany([
        { key: "near", embedding: near! },
        { key: "far", embedding: far! }
      ])
      const timesOf = async (key: string) => {
        const { added, used } = (await pool.get(key))!
        return [Math.floor(added), Math.floor(used)]
      }
      for (const ms of [1000, 5000]) {
        clock.now = came + ms
        await pool.similar(near!, { k: 1 })
        clock.now += 100
        assert.deepEqual(await timesOf("near"), [came, came + ms])
        assert.deepEqual(await timesOf("far"), [came, came])
      }
    })
  })

  test("have a key of their own when none is given, and bytes, JSON or nothing as payload", async () => {
    await withPool({}, async (pool) => {
      const [a, b, c] = vectorsOf(2, 3)
      const keys = await pool.addMany([
        { embedding: a!, payload: Uint8Array.of(1, 2, 3) },
        { embedding: b!, payload: [1, "two", null] },
        { embedding: c! }
      ])
      assert.equal(new Set(keys).size, 3)
      assert.deepEqual((await pool.get(keys[0]!))?.payload, Uint8Array.of(1, 2, 3))
      assert.deepEqual((await pool.get(keys[1]!))?.payload, [1, "two", null])
      assert.equal((await pool.get(keys[2]!))?.payload, undefined)
    })
  })

  test("of text are embedded, alone and among others", async () => {
    await withPool({ dimensions: undefined, embedder }, async (pool) => {
      await pool.addMany([
        { key: "cat", text: "a small cat" },
        { key: "own", embedding: vectorsOf(3, 1, 64)[0]! },
        { key: "rain", text: "heavy rain tomorrow" }
      ])
      assert.deepEqual(keysOf(await pool.similar("a small cat", { k: 1 })), ["cat"])
      assert.deepEqual((await pool.get("rain"))?.payload, { text: "heavy rain tomorrow" })
    })
  })

  test("are refused whole: a batch with one that is wrong, a key that is taken, another dimension", async () => {
    await withPool({}, async (pool) => {
      const [a, b] = vectorsOf(4, 2)
      await pool.add({ key: "a", embedding: a! })
      await assert.rejects(pool.add({ key: "a", embedding: b! }), tagged("DuplicateKey"))
      const twice = [1, 2].map(() => ({ key: "b", embedding: b! }))
      await assert.rejects(pool.addMany(twice), tagged("DuplicateKey"))
      await assert.rejects(pool.addMany([{ embedding: b! }, { embedding: [1, 2] }]), (error) => {
        const { expected, got } = error as { expected: number; got: number }
        return tagged("DimensionMismatch")(error) && expected === DIMENSIONS && got === 2
      })
      await assert.rejects(pool.add({ embedding: b!, utility: 2 }), tagged("InvalidParameter"))
      await assert.rejects(pool.add({ embedding: b!, fields: { utility: 1 } }), tagged("InvalidParameter"))
      await assert.rejects(pool.add({ embedding: new Float32Array(DIMENSIONS) }), tagged("InvalidVector"))
      const tensor = { rows: 1, columns: 1, data: [1] }
      await assert.rejects(pool.add({ tensor }), tagged("FeatureUnavailable"))
      await assert.rejects(pool.similar({ tensor }), tagged("FeatureUnavailable"))
      await assert.rejects(pool.add({ key: "nothing" }), tagged("InvalidParameter"))
      assert.equal(pool.stats().items, 1)
    })
  })

  test("go when they are removed, and all with what is known of them when the pool is cleared", async () => {
    await withPool({}, async (pool) => {
      const vectors = vectorsOf(5, 300)
      await pool.addMany(vectors.map((embedding, i) => ({ key: `${i}`, embedding, class: i % 2 ? "odd" : "even" })))
      await pool.feedback([{ key: "1", deltaLoss: -1 }])
      assert.equal(await pool.remove("0"), true)
      assert.equal(await pool.remove("0"), false)
      assert.deepEqual(pool.stats().classes, { even: 149, odd: 150 })
      await pool.clear()
      const { items, classes, memory, accepted } = pool.stats()
      assert.deepEqual({ items, classes, accepted }, { items: 0, classes: {}, accepted: 0 })
      assert.deepEqual([memory.currentBytes, memory.count, memory.ratio], [0, 0, 0])
      assert.deepEqual(pool.biasProfile(), { version: 1, classes: {} })
      assert.deepEqual(await pool.similar(vectors[1]!), [])
      await pool.add({ key: "0", embedding: vectors[0]! })
      assert.deepEqual(keysOf(await pool.similar(vectors[0]!)), ["0"])
    })
  })
})

describe("a pool that is full", () => {
  const firstToGo = async (eviction: EvictionName): Promise<ReadonlyArray<string>> =>
    withPool({ maxSize: 4, eviction }, async (pool) => {
      const [a, b, c, e] = vectorsOf(6, 4)
      const twin = a!.map((x, i) => x + (i === 0 ? 0.01 : 0))
      await pool.add({ key: "old", embedding: b!, utility: 0.9 })
      await pool.add({ key: "useless", embedding: c!, utility: -0.9 })
      await pool.add({ key: "twin", embedding: a!, utility: 0.1 })
      await pool.add({ key: "better-twin", embedding: twin, utility: 0.2 })
      for (const vector of [b!, a!]) await pool.similar(vector, { k: 2, minSimilarity: 0.9 })
      await pool.add({ key: "new", embedding: e! })
      const left = await Promise.all(
        ["old", "useless", "twin", "better-twin", "new"].map(async (key) => ({ key, item: await pool.get(key) }))
      )
      assert.equal(pool.stats().items, 4)
      assert.equal(pool.stats().evicted, 1)
      return keysOf(left.filter(({ item }) => item === undefined))
    })

  test("loses the oldest", async () => assert.deepEqual(await firstToGo("oldest"), ["old"]))
  test("loses the least useful", async () => assert.deepEqual(await firstToGo("leastUseful"), ["useless"]))
  test("loses what was not used for longest", async () =>
    assert.deepEqual(await firstToGo("leastRecentlyUsed"), ["useless"]))
  test("loses the less useful of two that are alike", async () =>
    assert.deepEqual(await firstToGo("diversity"), ["twin"]))

  test("keeps within nine tenths of its budget, exact to the byte, and loses nothing when that cannot be", async () => {
    const payload = { text: "x".repeat(1000) }
    await withPool({ memoryBudgetMb: 0.1, maxSize: Number.POSITIVE_INFINITY }, async (pool) => {
      const vectors = vectorsOf(7, 200)
      for (const [i, embedding] of vectors.entries()) await pool.add({ key: `${i}`, embedding, payload })
      const { currentBytes, maxBytes, ratio, count } = pool.memoryBudgetStats()
      assert.equal(maxBytes, Math.floor(0.1 * 2 ** 20))
      assert.ok(ratio <= 0.9 && ratio > 0.85, `${ratio}`)
      assert.equal(count, pool.stats().items)
      const large = { text: "y".repeat(120_000) }
      await assert.rejects(pool.add({ embedding: vectors[0]!, payload: large }), tagged("MemoryExceeded"))
      const many = vectors.map((embedding) => ({ embedding, payload }))
      await assert.rejects(pool.addMany(many), tagged("CapacityExceeded"))
      assert.deepEqual(pool.memoryBudgetStats(), { currentBytes, maxBytes, ratio, count })
    })
    await withPool({ maxSize: 3 }, async (pool) => {
      await pool.addMany(vectorsOf(8, 2).map((embedding) => ({ embedding })))
      const four = vectorsOf(9, 4).map((embedding) => ({ embedding }))
      await assert.rejects(pool.addMany(four), tagged("CapacityExceeded"))
      assert.equal(pool.stats().items, 2)
    })
  })

  test("counts each byte of keys and payloads, and each column", async () => {
    await withPool({ dimensions: 32, precision: "f16" }, async (pool) => {
      const [a, b] = vectorsOf(14, 2, 32)
      await pool.add({ key: "a", embedding: a!, payload: Uint8Array.of(1) })
      const first = pool.memoryBudgetStats().currentBytes
      // Vector, code and its factor; generation, tag, scope, frequency, flags, live bit; four fields; order; address and key.
      const columns = 64 + 34 + (2 + 2 + 4 + 1 + 1 + 1 / 8) + (4 + 8 + 8 + 8) + 8 + (4 + 5)
      const record = pool.stats().collection.columns["records"]!.touched
      assert.ok(first > columns && first - columns <= record, `${first} of ${columns} and at most ${record}`)
      await pool.add({ key: "bcd", embedding: b!, payload: new Uint8Array(101) })
      assert.equal(pool.memoryBudgetStats().currentBytes, 2 * first + 102)
      await pool.remove("a")
      assert.equal(pool.memoryBudgetStats().currentBytes, first + 102)
    })
  })

  test("counts the same bytes when it is opened again", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const options = { dimensions: DIMENSIONS }
    const first = await recallPool(db, options)
    await first.addMany(vectorsOf(10, 50).map((embedding, i) => ({ embedding, payload: i, class: `${i % 3}` })))
    await first.feedback([{ key: (await first.similar(vectorsOf(10, 1)[0]!, { k: 1 }))[0]!.key, deltaLoss: 0.5 }])
    const again = await recallPool(db, options)
    assert.deepEqual(again.memoryBudgetStats(), first.memoryBudgetStats())
    assert.deepEqual(again.stats().classes, first.stats().classes)
  })
})

describe("options", () => {
  test("that a pool cannot be made with are InvalidConfiguration", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const wrong = [
      { maxSize: 0 },
      { memoryBudgetMb: 0 },
      { coherenceThreshold: 1.5 },
      { retrievalLimit: 0 },
      { index: "tree" as "flat" },
      { eviction: "newest" as "oldest" },
      { weights: { similarity: -1 } },
      { weights: { similarity: 0, utility: 0, class: 0 } },
      { fields: { utility: "number" } as const },
      { biasStrength: Number.NaN },
      { memoryBudgetMb: 2 ** -21 },
      { precision: "none" as "f32" },
      { coherence: { id: 5 as unknown as string, measure: () => ({ score: 1, reason: "always" }) } }
    ]
    for (const options of wrong) {
      await assert.rejects(recallPool(db, { dimensions: DIMENSIONS, ...options }), tagged("InvalidConfiguration"))
    }
  })

  test("name an index that must be there, and one without items cannot be built", async () => {
    await withPool({ index: "hnsw" }, async (pool) => {
      const [query] = vectorsOf(11, 1)
      await assert.rejects(pool.buildIndex(), tagged("EmptyCollection"))
      await assert.rejects(pool.similar(query!, { index: "hnsw" }), tagged("IndexNotBuilt"))
      await assert.rejects(pool.similar(query!, { index: "ivf" }), tagged("IndexNotBuilt"))
      await pool.addMany(vectorsOf(12, 100).map((embedding, i) => ({ key: `${i}`, embedding })))
      await pool.buildIndex()
      assert.equal(pool.stats().isBuilt, true)
      const walked = keysOf(await pool.similar(query!, { k: 10, index: "hnsw" }))
      assert.deepEqual(walked, keysOf(await pool.similar(query!, { k: 10 })))
    })
  })
})
