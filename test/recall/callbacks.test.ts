/** Measures and policies of the caller's own that write: a writer waits for them, and must not wait for ever. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { setTimeout as pause } from "node:timers/promises"
import { type Database, open } from "../../src/index.ts"
import { type Coherence, type EvictionPolicy, type RecallPool, recallPool } from "../../src/recall.ts"
import { DIMENSIONS, vectorsOf } from "./pools.ts"

const vectors = vectorsOf(88, 40)
const item = (at: number) => ({ key: `${at}`, embedding: vectors[at]! })
const DEADLOCK = { _tag: "Deadlock" }

const measuring = (work: () => unknown): Coherence => ({
  id: "own",
  measure: async () => {
    await work()
    return { score: 1, reason: "always" }
  }
})

const withDatabase = async (use: (db: Database) => Promise<void>): Promise<void> => {
  await using db = await open(":memory:", { threads: 1 })
  await use(db)
}

/** Every call that writes to a pool. */
const WRITES: Readonly<Record<string, (pool: RecallPool) => Promise<unknown>>> = {
  add: (pool) => pool.add(item(30)),
  addMany: (pool) => pool.addMany([item(30)]),
  addIfCoherent: (pool) => pool.addIfCoherent(item(30)),
  addManyIfCoherent: (pool) => pool.addManyIfCoherent([item(30)]),
  remove: (pool) => pool.remove("0"),
  feedback: (pool) => pool.feedback([{ key: "0", deltaLoss: 1 }]),
  clear: (pool) => pool.clear(),
  checkIndex: (pool) => pool.checkIndex()
}

describe("a write of a pool", { timeout: 30_000 }, () => {
  for (const [name, write] of Object.entries(WRITES)) {
    test(`${name}, that a measure waits for is Deadlock, and pools write again after it`, async () => {
      await withDatabase(async (db) => {
        const coherence = measuring(async () => {
          for (const pool of pools) await assert.rejects(write(pool), DEADLOCK)
        })
        const options = { dimensions: DIMENSIONS, coherence }
        const pools = [await recallPool(db, options), await recallPool(db, options)]
        await pools[0]!.add(item(0))
        assert.equal((await pools[0]!.addIfCoherent(item(1))).isAdded, true)
        await pools[1]!.add(item(2))
        assert.equal(pools[0]!.stats().items, 3)
        assert.equal((await pools[0]!.get("0"))?.outcomes, 0)
      })
    })
  }

  test("that a policy waits for is Deadlock, and is so for whoever waits for the policy", async () => {
    await withDatabase(async (db) => {
      let isWriting = true
      const eviction: EvictionPolicy = {
        victims: async (items, { count }) => {
          if (isWriting) await pool.remove("0")
          return items.rows().slice(0, count)
        }
      }
      const pool = await recallPool(db, { dimensions: DIMENSIONS, maxSize: 2, eviction })
      await pool.addMany([item(0), item(1)])
      await assert.rejects(pool.add(item(2)), DEADLOCK)
      assert.equal(pool.stats().items, 2)
      isWriting = false
      await pool.add(item(2))
      assert.deepEqual([pool.stats().items, pool.stats().evicted], [2, 1])
    })
  })

  test("that a measure begins and does not wait for is Deadlock too; one that it leads to later on is done", async () => {
    await withDatabase(async (db) => {
      const begun: Array<Promise<unknown>> = []
      const measured = Promise.withResolvers<void>()
      const coherence = measuring(() => {
        begun.push(assert.rejects(pool.remove("0"), DEADLOCK))
        begun.push(measured.promise.then(() => pool.remove("0")))
      })
      const pool = await recallPool(db, { dimensions: DIMENSIONS, coherence })
      await pool.add(item(0))
      await pool.addIfCoherent(item(1))
      measured.resolve()
      await Promise.all(begun)
      assert.deepEqual([await pool.get("0"), pool.stats().items], [undefined, 1])
    })
  })

  test("of others, begun while a measure goes on, waits for it and is done", async () => {
    await withDatabase(async (db) => {
      const gate = Promise.withResolvers<void>()
      const pool = await recallPool(db, { dimensions: DIMENSIONS, coherence: measuring(() => gate.promise) })
      const judged = pool.addIfCoherent(item(0))
      const added = pool.add(item(1))
      await pause(5)
      assert.equal(pool.stats().items, 0)
      gate.resolve()
      assert.deepEqual([(await judged).isAdded, await added], [true, "1"])
    })
  })

  test("of another collection is done, unless measures of that one wait for this one", async () => {
    await withDatabase(async (db) => {
      const met = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
      const refused: Array<unknown> = []
      /** Begins to write to the other pool once both measures are under way. */
      const towards = (own: number) =>
        measuring(async () => {
          met[own]!.resolve()
          await met[1 - own]!.promise
          await pools[1 - own]!.add(item(10 + own)).catch((error) => refused.push(error))
        })
      const open = (name: string, coherence?: Coherence) => recallPool(db, { name, dimensions: DIMENSIONS, coherence })
      const pools = [await open("one", towards(0)), await open("two", towards(1))]
      await Promise.all([pools[0]!.addIfCoherent(item(0)), pools[1]!.addIfCoherent(item(1))])
      // The first waits for the second, which is told not to wait for the first.
      assert.deepEqual(
        refused.map((error) => (error as { _tag: string })._tag),
        ["Deadlock"]
      )
      assert.deepEqual([pools[0]!.stats().items, pools[1]!.stats().items], [1, 2])
      const third = await open(
        "three",
        measuring(() => pools[0]!.addIfCoherent(item(20)))
      )
      await assert.rejects(pools[0]!.add(item(0)), { _tag: "DuplicateKey" })
      assert.equal((await third.addIfCoherent(item(0))).isAdded, true)
    })
  })
})

describe("a callback that returns what it must not", () => {
  test("is InvalidParameter, and nothing is written", async () => {
    await withDatabase(async (db) => {
      for (const [i, measured] of [undefined, null, 1, [], { score: "1" }].entries()) {
        const coherence = { id: "wrong", measure: () => measured } as unknown as Coherence
        const pool = await recallPool(db, { name: `measure-${i}`, dimensions: DIMENSIONS, coherence })
        await assert.rejects(pool.addIfCoherent(item(0)), { _tag: "InvalidParameter" })
        assert.equal(pool.stats().items, 0)
      }
      for (const [i, rows] of [undefined, null, 7, "0"].entries()) {
        const eviction = { victims: async () => rows } as unknown as EvictionPolicy
        const pool = await recallPool(db, { name: `policy-${i}`, dimensions: DIMENSIONS, maxSize: 1, eviction })
        await pool.add(item(0))
        await assert.rejects(pool.add(item(1)), { _tag: "InvalidParameter" })
        assert.deepEqual([pool.stats().items, (await pool.get("0"))?.key], [1, "0"])
      }
    })
  })
})
