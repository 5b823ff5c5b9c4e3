/** The pool that crash suites write, and what each of its items must look like to be whole. */
import assert from "node:assert/strict"
import "./compiled.ts"
import { type Database, open } from "../../src/index.ts"
import { type RecallInput, type RecallPool, recallPool } from "../../src/recall.ts"
import { DIMENSIONS, keyOf, markOf, vectorOf } from "../concurrency/self-check.ts"
import { isCoherent } from "./pool-oracle.ts"

/** Items of a pool that is full. */
export const FULL = 40

export const itemOf = (number: number): RecallInput & { readonly key: string } => ({
  key: keyOf(number),
  embedding: vectorOf(number, 0),
  payload: markOf(number, 0, number),
  class: `class ${number % 3}`,
  utility: (number % 8) / 8
})

const numberOf = (key: string): number => Number(key.slice(keyOf(0).length - 1))

export const openPool = (db: Database, maxSize: number): Promise<RecallPool> =>
  recallPool(db, {
    dimensions: DIMENSIONS,
    maxSize,
    index: "hnsw",
    coherence: {
      id: "by utility",
      // The utility of an item has the last bits of its number.
      measure: ({ utility }) => ({ score: isCoherent(utility * 8) ? 1 : 0, reason: "its number" })
    }
  })

/**
 * Numbers of the items that are there, the oldest first; fails where one is not whole, is there twice, is not found, or
 * is counted otherwise than in a pool of its own that has just these.
 */
export const itemsOf = async (db: Database, pool: RecallPool): Promise<ReadonlyArray<number>> => {
  if (pool.stats().items > 0) await pool.buildIndex()
  const found: Array<{ readonly number: number; readonly added: number }> = []
  for await (const { key } of (await db.collection("recall")).entries()) {
    const number = numberOf(key)
    const { embedding, payload, class: label, utility } = itemOf(number)
    const item = (await pool.get(key))!
    assert.deepEqual([item.key, item.payload, item.class, item.utility], [key, payload, label, utility])
    const length = Math.hypot(...Array.from(embedding!))
    for (const [i, x] of item.embedding.entries()) assert.ok(Math.abs(x - embedding![i]! / length) < 1e-6)
    for (const index of ["flat", "hnsw"] as const) {
      const [nearest] = await pool.similar(embedding!, { k: 1, index })
      assert.equal(nearest?.key, key, `an item is not the nearest to its own embedding by ${index}`)
    }
    found.push({ number, added: item.added })
  }
  const order = found.toSorted((a, b) => a.added - b.added).map(({ number }) => number)
  assert.equal(new Set(order).size, order.length, "an item is there twice")
  const ofClasses = await Promise.all([0, 1, 2].map((i) => pool.byClass(`class ${i}`, { k: 1024 })))
  const walked = ofClasses.flat().map(({ key }) => numberOf(key))
  assert.deepEqual(walked.sort(), [...order].sort(), "walks and entries do not agree")
  const checks = order.length === 0 ? [] : [{ index: "hnsw", found: 1 }]
  assert.deepEqual(await pool.checkIndex(), checks, "the index lacks some of its items")
  const { items, classes, memory } = pool.stats()
  await using other = await open(":memory:", { threads: 1 })
  const same = await openPool(other, Number.POSITIVE_INFINITY)
  await same.addMany(order.map(itemOf))
  const wanted = same.stats()
  assert.deepEqual({ items, classes, memory }, { items: wanted.items, classes: wanted.classes, memory: wanted.memory })
  return order
}
