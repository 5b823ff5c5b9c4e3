/** What is seldom: pools that were cleared, policies that are wrong, clocks that go back, numbers at their ends. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { open } from "../../src/index.ts"
import { type Coherence, type EvictionPolicy, type RecallOptions, recallPool, type Tensor } from "../../src/recall.ts"
import { Clock, DIMENSIONS, vectorsOf, withPool } from "./pools.ts"

const vectors = vectorsOf(90, 400)
const itemsOf = (from: number, to: number) =>
  vectors.slice(from, to).map((embedding, i) => ({ key: `${from + i}`, embedding }))

describe("a pool that was cleared", () => {
  for (const index of ["hnsw", "ivf"] as const) {
    test(`has no ${index} left, and makes it of what comes then`, { timeout: 120_000 }, async () => {
      await withPool({ index, maxSize: Number.POSITIVE_INFINITY }, async (pool) => {
        const many = vectorsOf(91, 3000)
        await pool.addMany(many.map((embedding) => ({ embedding })))
        await pool.buildIndex()
        assert.equal(pool.stats().isBuilt, true)
        await pool.clear()
        const { isBuilt, collection } = pool.stats()
        assert.deepEqual([isBuilt, collection.hnsw?.linked ?? 0, collection.lists], [false, 0, 0])
        await assert.rejects(pool.similar(many[0]!, { index }), { _tag: "IndexNotBuilt" })
        await pool.addMany(many.slice(0, 2500).map((embedding, i) => ({ key: `${i}`, embedding })))
        await pool.buildIndex()
        assert.equal(pool.stats().isBuilt, true)
        assert.equal((await pool.similar(many[7]!, { k: 1, index }))[0]?.key, "7")
      })
    })
  }

  test("judges what comes by what is there now, as does one that a batch has changed", async () => {
    const tight = vectors.slice(0, 100).map((noise) => noise.map((x, i) => (i === 0 ? 9 : 0) + 0.1 * x))
    const loose = vectors.slice(100, 300).map((embedding) => ({ embedding }))
    await withPool({}, async (pool) => {
      await pool.addMany(tight.map((embedding) => ({ embedding })))
      assert.equal((await pool.addIfCoherent({ embedding: vectors[301]! })).isAdded, false)
      await pool.clear()
      await pool.addMany(loose)
      assert.equal((await pool.addIfCoherent({ embedding: vectors[301]! })).isAdded, true)
    })
    await withPool({}, async (pool) => {
      await pool.addMany(tight.slice(0, 20).map((embedding) => ({ embedding })))
      assert.equal((await pool.addIfCoherent({ embedding: vectors[301]! })).isAdded, false)
      await pool.addMany(loose)
      assert.equal((await pool.addIfCoherent({ embedding: vectors[301]! })).isAdded, true)
    })
  })
})

describe("a retrieval that is remembered", () => {
  test("is told from one whose label reads like its options", async () => {
    await withPool({}, async (pool) => {
      const labels = ["a", "a k=5"]
      await pool.addMany(itemsOf(0, 20).map((item, i) => ({ ...item, class: labels[i % 2] })))
      const [one, other] = [
        await pool.hybrid(vectors[0]!, { class: "a", k: 5 }),
        await pool.hybrid(vectors[0]!, { class: "a k=5" })
      ]
      assert.deepEqual([one.length, other.length], [5, 3])
    })
  })
})

describe("a query", () => {
  test("is what it was when it was asked, whatever its caller writes over it", async () => {
    await withPool({}, async (pool) => {
      await pool.addMany(itemsOf(0, 40))
      const query = vectors[3]!.slice()
      const asked = pool.similar(query, { k: 1 })
      query.set(vectors[5]!)
      assert.equal((await asked)[0]?.key, "3")
      assert.equal((await pool.similar(vectors[5]!, { k: 1 }))[0]?.key, "5")
      assert.equal((await pool.similar(vectors[3]!, { k: 1 }))[0]?.key, "3")
    })
  })
})

describe("a pool that is opened again", () => {
  test("has its own fields without being told, and refuses what it was not made with", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const pool = await recallPool(db, { dimensions: DIMENSIONS, fields: { lang: "tag" } })
    await pool.add({ key: "a", embedding: vectors[0]!, fields: { lang: "en" } })
    const again = await recallPool(db)
    assert.deepEqual({ ...(await again.get("a"))?.fields }, { lang: "en" })
    assert.equal((await again.similar(vectors[0]!, { filter: { lang: "en" } })).length, 1)
    const wrong: ReadonlyArray<RecallOptions> = [
      { dimensions: 8 },
      { fields: { other: "number" } },
      { precision: "int8" }
    ]
    for (const options of wrong) await assert.rejects(recallPool(db, options), { _tag: "CollectionMismatch" })
    await db.collection("plain", { dimensions: DIMENSIONS })
    await assert.rejects(recallPool(db, { name: "plain" }), { _tag: "InvalidParameter" })
  })
})

describe("a sample of a pool that was far larger", () => {
  test("walks through the rows that are empty once", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const pool = await recallPool(db, { dimensions: 2, maxSize: Number.POSITIVE_INFINITY, index: "flat" })
    await pool.addMany(vectorsOf(85, 20_000, 2).map((embedding) => ({ embedding })))
    let loads = 0
    let sampled = 0
    const coherence: Coherence = {
      id: "sampling",
      measure: (_, { sample }) => {
        const { load } = Atomics
        const counted = (words: Int32Array, at: number): number => {
          loads++
          return load(words, at)
        }
        Atomics.load = counted as typeof load
        try {
          sampled = sample(64).length / 2
        } finally {
          Atomics.load = load
        }
        return { score: 1, reason: "always" }
      }
    }
    // The newest are left: those of the last rows.
    const small = await recallPool(db, { maxSize: 300, coherence, index: "flat" })
    await small.add({ embedding: [1, 2] })
    await small.addIfCoherent({ embedding: [1, 2] })
    assert.ok(sampled > 0)
    assert.ok(loads <= 2 * (20_000 / 32) + 64, `${loads}`)
  })
})

describe("a policy of the caller's own", () => {
  const of = (victims: EvictionPolicy["victims"]): RecallOptions => ({ maxSize: 4, eviction: { victims } })

  test("chooses who goes", async () => {
    const newest: EvictionPolicy["victims"] = async (items, { count }) =>
      [...items.rows()].sort((a, b) => items.cameAt(b) - items.cameAt(a)).slice(0, count)
    await withPool(of(newest), async (pool) => {
      for (const item of itemsOf(0, 6)) await pool.add(item)
      const left = await Promise.all(itemsOf(0, 6).map(async ({ key }) => (await pool.get(key))?.key))
      assert.deepEqual(left, ["0", "1", "2", undefined, undefined, "5"])
    })
  })

  test("that names a row twice, or rows that are none, gives too little way: nothing is lost", async () => {
    const wrong: ReadonlyArray<EvictionPolicy["victims"]> = [
      async (items) => [items.rows()[0]!, items.rows()[0]!],
      async () => [1000, -1, 0.5, Number.NaN, 70_000],
      async () => []
    ]
    for (const victims of wrong) {
      await withPool(of(victims), async (pool) => {
        await pool.addMany(itemsOf(0, 4))
        await assert.rejects(pool.addMany(itemsOf(4, 6)), { _tag: "CapacityExceeded" })
        assert.equal(pool.stats().items, 4)
      })
    }
  })
})

describe("eviction", () => {
  test("of all but a few, by each policy, takes those that it says", async () => {
    for (const eviction of ["oldest", "leastUseful", "leastRecentlyUsed", "diversity"] as const) {
      await using db = await open(":memory:", { threads: 1 })
      const options = { dimensions: DIMENSIONS, eviction, maxSize: 400 }
      const pool = await recallPool(db, options)
      await pool.addMany(itemsOf(0, 400).map((item, i) => ({ ...item, utility: (i % 100) / 100 })))
      for (const { embedding } of itemsOf(0, 20)) await pool.similar(embedding, { k: 1 })
      const small = await recallPool(db, { ...options, maxSize: 21 })
      await small.add({ key: "new", embedding: vectors[0]! })
      assert.deepEqual([small.stats().items, small.stats().evicted], [21, 380])
      const left = new Set((await small.byUtility({ k: 30 })).map(({ key }) => key))
      const wanted = {
        oldest: itemsOf(380, 400),
        leastUseful: itemsOf(0, 400).filter((_, i) => i % 100 > 94),
        leastRecentlyUsed: itemsOf(0, 20),
        diversity: []
      }[eviction]
      for (const { key } of wanted) assert.ok(left.has(key), `${eviction}: ${key} is gone`)
    }
  })

  test("goes on in order when what it was for was refused", async () => {
    await withPool({ maxSize: 3 }, async (pool) => {
      await pool.addMany(itemsOf(0, 3))
      for (let i = 0; i < 5; i++) await assert.rejects(pool.add(itemsOf(0, 1)[0]!), { _tag: "DuplicateKey" })
      await pool.remove("1")
      await pool.add(itemsOf(3, 4)[0]!)
      await pool.add(itemsOf(4, 5)[0]!)
      assert.deepEqual([await pool.get("0"), (await pool.get("2"))?.key], [undefined, "2"])
    })
  })

  test("in a large pool takes pairs of a sample, one after another, and each only while both are there", async () => {
    await withPool({ maxSize: 400, eviction: "diversity" }, async (pool) => {
      const twins = vectors.slice(0, 200).flatMap((embedding, i) => [
        { key: `${i} a`, embedding, utility: 0.5 },
        { key: `${i} b`, embedding: embedding.map((x) => 1.01 * x), utility: 0.1 }
      ])
      await pool.addMany(twins)
      for (const [i, { embedding }] of itemsOf(200, 300).entries()) await pool.add({ key: `new ${i}`, embedding })
      let both = 0
      for (let i = 0; i < 200; i++) {
        assert.equal((await pool.get(`${i} a`))?.key, `${i} a`, "the useful one of a pair is gone")
        if ((await pool.get(`${i} b`)) !== undefined) both++
      }
      assert.equal(both, 100)
    })
  })
})

describe("time", () => {
  test("that goes backwards changes no order, and makes nobody younger than new", async () => {
    const clock = new Clock()
    await withPool({ clock: clock.read, maxSize: 3 }, async (pool) => {
      for (const item of itemsOf(0, 3)) {
        await pool.add(item)
        clock.now -= 3_600_000
      }
      const found = await pool.hybrid(vectors[0]!, { k: 3 })
      for (const { explanation } of found) assert.equal(explanation.recency, 1)
      await pool.add(itemsOf(3, 4)[0]!)
      assert.deepEqual([await pool.get("0"), (await pool.get("1"))?.key], [undefined, "1"])
    })
  })

  test("that is no number is InvalidParameter, and the pool goes on when it is one again", async () => {
    const clock = new Clock()
    await withPool({ clock: clock.read }, async (pool) => {
      clock.now = Number.NaN
      await assert.rejects(pool.add(itemsOf(0, 1)[0]!), { _tag: "InvalidParameter" })
      clock.now = 1_700_000_000_000
      await pool.add(itemsOf(0, 1)[0]!)
      assert.equal((await pool.get("0"))?.added, clock.now)
    })
  })
})

describe("numbers and texts at their ends", () => {
  test("utility, label and k are taken up to them and refused beyond", async () => {
    await withPool({}, async (pool) => {
      const label = "l".repeat(1024)
      await pool.add({ key: "most", embedding: vectors[0]!, utility: 1, class: label })
      await pool.add({ key: "least", embedding: vectors[1]!, utility: -1, class: "__proto__" })
      assert.equal(Object.keys(pool.stats().classes).length, 2)
      await pool.useBias({ version: 1, classes: { [label]: { outcomes: 1_000_000, utility: 1 } } })
      const found = await pool.byUtility({ k: 1024 })
      assert.deepEqual(
        found.map(({ key, score }) => [key, score]),
        [
          ["most", 1],
          ["least", -1]
        ]
      )
      const wrong = [{ utility: 1.01 }, { utility: Number.NaN }, { class: "" }, { class: "l".repeat(1025) }]
      for (const part of wrong) {
        await assert.rejects(pool.add({ embedding: vectors[2]!, ...part }), { _tag: "InvalidParameter" })
      }
      for (const k of [0, 1025, 1.5, Number.NaN]) {
        await assert.rejects(pool.similar(vectors[0]!, { k }), { _tag: "InvalidParameter" })
        await assert.rejects(pool.byUtility({ k }), { _tag: "InvalidParameter" })
        await assert.rejects(pool.balanced(vectors[0]!, { perClass: k }), { _tag: "InvalidParameter" })
      }
      assert.equal((await pool.diverse(vectors[0]!, { minDispersion: 2 })).length, 1)
      for (const minDispersion of [-0.01, 2.01, Number.NaN]) {
        await assert.rejects(pool.diverse(vectors[0]!, { minDispersion }), { _tag: "InvalidParameter" })
      }
      for (const key of ["", 5, "k".repeat(1025)] as ReadonlyArray<string>) {
        await assert.rejects(async () => pool.get(key), { _tag: "InvalidParameter" })
        await assert.rejects(pool.remove(key), { _tag: "InvalidParameter" })
        await assert.rejects(pool.feedback([{ key, deltaLoss: 0 }]), { _tag: "InvalidParameter" })
      }
    })
  })

  test("values of a tensor as large as f32 leave finite features", async () => {
    await withPool({}, async (pool) => {
      const huge: Tensor = { rows: 4, columns: 4, data: Array.from({ length: 16 }, (_, i) => (i % 2 ? -3e38 : 3e38)) }
      await pool.add({ key: "huge", embedding: vectors[0]!, tensor: huge })
      const { entropy, dominant, energies, meanPower } = (await pool.get("huge"))!.spectrum!
      for (const number of [entropy, ...dominant, ...energies, meanPower])
        assert.ok(Number.isFinite(number), `${number}`)
    })
  })

  test("an encoder that returns what is no embedding is a typed error", async () => {
    const tensor: Tensor = { rows: 1, columns: 1, data: [1] }
    const made: ReadonlyArray<readonly [Float32Array, string]> = [
      [new Float32Array(3).fill(1), "DimensionMismatch"],
      [new Float32Array(4), "InvalidVector"],
      [new Float32Array(4).fill(Number.NaN), "InvalidVector"],
      [undefined as unknown as Float32Array, "InvalidParameter"]
    ]
    for (const [embedding, tag] of made) {
      await withPool(
        { dimensions: undefined, encoder: { id: "wrong", dimensions: 4, encode: () => embedding } },
        async (pool) => {
          await assert.rejects(pool.add({ tensor }), { _tag: tag })
          await assert.rejects(pool.similar({ tensor }), { _tag: tag })
        }
      )
    }
  })
})
