/** Writers of a pool: what they take of the caller, how they wait, and what is counted whoever writes. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { setTimeout as pause } from "node:timers/promises"
import { open } from "../../src/index.ts"
import { type Coherence, recallPool } from "../../src/recall.ts"
import { DIMENSIONS, embedder, vectorsOf, withPool } from "./pools.ts"

const vectors = vectorsOf(80, 300)
const itemsOf = (from: number, to: number) =>
  vectors.slice(from, to).map((embedding, i) => ({ key: `${from + i}`, embedding }))

describe("a writer", () => {
  test("takes an item as it was when it was called, whoever is before it", async () => {
    await withPool({}, async (pool) => {
      const embedding = vectors[0]!.slice()
      const payload = { text: "before" }
      const first = pool.add({ key: "first", embedding: vectors[1]! })
      const second = pool.add({ key: "second", embedding, payload })
      embedding.set(vectors[2]!)
      payload.text = "after"
      await Promise.all([first, second])
      assert.equal((await pool.similar(vectors[0]!, { k: 1 }))[0]?.key, "second")
      assert.deepEqual((await pool.get("second"))?.payload, { text: "before" })
    })
  })

  test("takes outcomes as they were when it was called, whoever is before it", async () => {
    await withPool({}, async (pool) => {
      await pool.add({ key: "used", embedding: vectors[0]! })
      const outcome = { key: "used", deltaLoss: -0.5 }
      const before = pool.add({ embedding: vectors[1]! })
      const learning = pool.feedback([outcome])
      outcome.deltaLoss = 1
      await Promise.all([before, learning])
      assert.equal((await pool.get("used"))?.utility, 0.5)
    })
  })

  test("of a text without words names it by its place among the items", async () => {
    await withPool({ dimensions: undefined, embedder }, async (pool) => {
      const items = [{ embedding: vectorsOf(81, 1, 64)[0]! }, { text: "words" }, { text: "" }]
      await assert.rejects(pool.addMany(items), { _tag: "EmptyEmbedding", index: 2 })
      assert.equal(pool.stats().items, 0)
    })
  })

  test("waits for no text of another to be embedded", async () => {
    const gate = Promise.withResolvers<void>()
    const slow = {
      ...embedder,
      embed: async (texts: ReadonlyArray<string>) => {
        await gate.promise
        return embedder.embed(texts)
      }
    }
    await withPool({ dimensions: undefined, embedder: slow }, async (pool) => {
      const waiting = [pool.add({ key: "a", text: "one" }), pool.add({ key: "b", text: "two" })]
      await pool.add({ key: "c", embedding: vectorsOf(81, 1, 64)[0]! })
      assert.equal(await pool.remove("c"), true)
      gate.resolve()
      assert.deepEqual(await Promise.all(waiting), ["a", "b"])
    })
  })

  test("that was cancelled while it waited for others adds nothing", async () => {
    const gate = Promise.withResolvers<void>()
    const coherence: Coherence = {
      id: "slow",
      measure: async () => {
        await gate.promise
        return { score: 1, reason: "in the end" }
      }
    }
    await withPool({ coherence }, async (pool) => {
      const before = pool.addIfCoherent({ key: "before", embedding: vectors[0]! })
      const controller = new AbortController()
      const waiting = pool.add({ key: "waiting", embedding: vectors[1]! }, { signal: controller.signal })
      await pause(5)
      controller.abort()
      gate.resolve()
      await assert.rejects(waiting, { _tag: "Cancelled" })
      await before
      assert.equal(pool.stats().items, 1)
    })
  })

  test("of a batch that is judged stops between two items, and refuses a key that is taken before it adds any", async () => {
    const controller = new AbortController()
    let measured = 0
    const coherence: Coherence = {
      id: "counting",
      measure: () => {
        if (++measured === 3) controller.abort()
        return { score: 1, reason: "always" }
      }
    }
    await withPool({ coherence }, async (pool) => {
      await assert.rejects(pool.addManyIfCoherent(itemsOf(0, 50), { signal: controller.signal }), { _tag: "Cancelled" })
      assert.equal(measured, 3)
      const { items } = pool.stats()
      assert.ok(items <= 3, `${items}`)
      const twice = [
        { key: "new", embedding: vectors[60]! },
        { key: "0", embedding: vectors[61]! }
      ]
      await assert.rejects(pool.addManyIfCoherent(twice), { _tag: "DuplicateKey" })
      assert.equal(pool.stats().items, items)
    })
  })
})

describe("what is written to the collection of a pool, by another pool or by itself,", () => {
  test("is counted, voids what is remembered, and can give way", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const options = { dimensions: DIMENSIONS, maxSize: 30 }
    const pool = await recallPool(db, options)
    const other = await recallPool(db, options)
    await pool.addMany(itemsOf(0, 30).map((item, i) => ({ ...item, class: `c${i % 2}`, payload: "x".repeat(i) })))
    const seen = () => {
      const { items, classes, memory } = pool.stats()
      return { items, classes, memory }
    }
    const ofOther = () => {
      const { items, classes, memory } = other.stats()
      return { items, classes, memory }
    }
    assert.deepEqual(ofOther(), seen())
    assert.equal((await pool.similar(vectors[3]!, { k: 1 }))[0]?.key, "3")
    await other.remove("3")
    assert.notEqual((await pool.similar(vectors[3]!, { k: 1 }))[0]?.key, "3")
    const collection = await db.collection("recall")
    assert.equal((await pool.similar(vectors[4]!, { k: 1 }))[0]?.key, "4")
    await collection.delete("4")
    await collection.update({ key: "5", fields: { class: "changed" } })
    assert.notEqual((await pool.similar(vectors[4]!, { k: 1 }))[0]?.key, "4")
    assert.deepEqual(seen().classes, { c0: 14, c1: 13, changed: 1 })
    assert.deepEqual(ofOther(), seen())
    await other.addMany(itemsOf(30, 60))
    assert.deepEqual([seen().items, pool.stats().evicted, other.stats().evicted], [30, 0, 28])
    await pool.clear()
    assert.deepEqual([ofOther().items, ofOther().memory.currentBytes, ofOther().classes], [0, 0, {}])
  })

  test("leaves each pool as small as it may be and every outcome counted, when two write at once", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const options = { dimensions: DIMENSIONS, maxSize: 30 }
    const pools = await Promise.all([recallPool(db, options), recallPool(db, options)])
    await pools[0]!.addMany(itemsOf(0, 30))
    const key = "29"
    await Promise.all(
      pools.flatMap((pool) => Array.from({ length: 10 }, () => pool.feedback([{ key, deltaLoss: -1 }])))
    )
    assert.equal((await pools[0]!.get(key))?.outcomes, 20)
    await Promise.all(itemsOf(30, 50).map((item, i) => pools[i % 2]!.add(item)))
    assert.equal(pools[0]!.stats().items, 30)
    assert.equal(pools[0]!.stats().evicted + pools[1]!.stats().evicted, 20)
  })

  test("is counted while the pool is opened", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const options = { dimensions: DIMENSIONS, maxSize: Number.POSITIVE_INFINITY }
    const many = vectorsOf(82, 30_000)
    const pool = await recallPool(db, options)
    await pool.addMany(many.slice(0, 20_000).map((embedding, i) => ({ key: `${i}`, embedding, class: `c${i % 3}` })))
    const opening = recallPool(db, options)
    const collection = await db.collection("recall")
    const changes = [
      pool.addMany(many.slice(20_000).map((embedding, i) => ({ key: `n${i}`, embedding, class: "new" }))),
      ...Array.from({ length: 500 }, (_, i) => collection.delete(`${i * 40}`)),
      ...Array.from({ length: 500 }, (_, i) => collection.update({ key: `${i * 40 + 1}`, fields: { class: "other" } }))
    ]
    const again = await opening
    await Promise.all(changes)
    assert.deepEqual(again.stats().classes, pool.stats().classes)
    assert.deepEqual(again.memoryBudgetStats(), pool.memoryBudgetStats())
    const third = await recallPool(db, options)
    assert.deepEqual(third.stats().classes, pool.stats().classes)
    assert.deepEqual(third.memoryBudgetStats(), pool.memoryBudgetStats())
  })
})

describe("calls that walk over a large pool", { timeout: 120_000 }, () => {
  test("let others have turns of the event loop", async () => {
    await using db = await open(":memory:", { threads: 1 })
    const options = { dimensions: DIMENSIONS, maxSize: Number.POSITIVE_INFINITY, index: "flat" } as const
    const pool = await recallPool(db, options)
    const items = vectorsOf(83, 30_000).map((embedding, i) => ({ key: `${i}`, embedding, utility: (i % 7) / 7 }))
    /** Turns that others had while a call ran. */
    const turnsOf = async (call: () => Promise<unknown>): Promise<number> => {
      let turns = 0
      let isOver = false
      const next = () => {
        turns++
        if (!isOver) setImmediate(next)
      }
      setImmediate(next)
      await call()
      isOver = true
      return turns
    }
    await pool.addMany(items)
    // A quick machine needs few turns for the first; none would be one long turn.
    assert.ok((await turnsOf(() => pool.byUtility({ k: 5 }))) >= 1)
    assert.ok((await turnsOf(() => pool.clear())) >= 10)
    assert.equal(pool.stats().items, 0)
  })
})
