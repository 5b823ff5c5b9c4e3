/** Many callers at once: no item is lost, and no score is of anything but the item that it is given with. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { setImmediate as turn } from "node:timers/promises"
import type { EvictionName, Recalled, RecallPool } from "../../src/recall.ts"
import { randomBits } from "../property/kernels/random.ts"
import { cosine, vectorsOf, withPool } from "./pools.ts"

const COUNT = 400
const MAX_SIZE = 150
const CALLS = 400
const vectors = vectorsOf(95, COUNT)
const queries = vectorsOf(96, 16)
const CLASSES = ["a", "b", "c"]

/** An item follows from its number: whatever is found of it can be told right from wrong. */
const itemOf = (i: number) => ({ key: `${i}`, embedding: vectors[i]!, class: CLASSES[i % 3]!, payload: { i } })

const isRight = ({ key, payload, class: label, score, explanation }: Recalled, query: Float32Array): void => {
  const i = Number(key)
  assert.deepEqual([payload, label], [{ i }, CLASSES[i % 3]])
  const { similarity, utility, bias, relevance, recency, scaledSimilarity, classAgreement, nearestChosen } = explanation
  if (similarity !== undefined) {
    assert.ok(Math.abs(similarity - cosine(vectors[i]!, query)) < 1e-5, `${key}: ${similarity}`)
  }
  if (relevance !== undefined) {
    const use = (1 + Math.min(1, Math.max(-1, utility! + bias!))) / 2
    const sum = (0.65 * scaledSimilarity! + 0.2 * use + 0.1 * classAgreement!) / 0.95
    assert.ok(Math.abs(relevance - sum * recency!) < 1e-9)
    assert.ok(Math.abs(score - (0.7 * relevance - 0.3 * Math.max(0, nearestChosen ?? 0))) < 1e-6)
  } else if (nearestChosen !== undefined) {
    assert.ok(Math.abs(score - (0.7 * similarity! - 0.3 * nearestChosen)) < 1e-6)
  } else if (similarity === undefined) {
    assert.equal(score, Math.min(1, Math.max(-1, utility! + bias!)))
  }
}

const READS: ReadonlyArray<(pool: RecallPool, query: Float32Array) => Promise<ReadonlyArray<Recalled>>> = [
  (pool, query) => pool.similar(query, { k: 5 }),
  (pool, query) => pool.balanced(query, { perClass: 2 }),
  (pool, query) => pool.byClass("a", { query, k: 4 }),
  (pool) => pool.byUtility({ k: 6, filter: { class: { in: ["a", "b"] } } }),
  (pool, query) => pool.diverse(query, { k: 5, minSimilarity: -0.5 }).then((found) => found.slice(1)),
  (pool, query) => pool.hybrid(query, { k: 5, class: "b", filter: { utility: { gte: -1 } } })
]

describe("callers at the same time", { timeout: 120_000 }, () => {
  for (const eviction of ["oldest", "leastUseful", "leastRecentlyUsed", "diversity"] as ReadonlyArray<EvictionName>) {
    test(`${eviction}: what is found is right, and what is counted is there`, async () => {
      await withPool({ eviction, maxSize: MAX_SIZE }, async (pool) => {
        const bits = randomBits(97)
        const taken = (error: { _tag?: string }) => assert.match(`${error._tag}`, /DuplicateKey|KeyNotFound/)
        const writes: ReadonlyArray<(i: number) => Promise<unknown>> = [
          (i) => pool.add(itemOf(i)),
          (i) => pool.addMany([itemOf(i), itemOf((i + 7) % COUNT)]),
          (i) => pool.addIfCoherent(itemOf(i)),
          (i) => pool.remove(`${i}`),
          (i) => pool.feedback([{ key: `${i}`, deltaLoss: (i % 21) / 10 - 1 }])
        ]
        const writer = async () => {
          for (let call = 0; call < CALLS; call++) {
            if (bits() % 199 === 0) await pool.clear()
            else await writes[bits() % writes.length]!(bits() % COUNT).catch(taken)
          }
        }
        let found = 0
        let isWriting = true
        const reader = async () => {
          for (let call = 0; isWriting; call++) {
            const query = queries[bits() % queries.length]!
            for (const item of await READS[bits() % READS.length]!(pool, query)) {
              isRight(item, query)
              found++
            }
            if (call % 4 === 0) await turn()
          }
        }
        await pool.addMany(Array.from({ length: 100 }, (_, i) => itemOf(4 * i)))
        const writing = Promise.all([writer(), writer(), writer()]).finally(() => {
          isWriting = false
        })
        await Promise.all([writing, reader(), reader(), reader()])
        assert.ok(found > CALLS)
        const left = await Promise.all(vectors.map(async (_, i) => (await pool.get(`${i}`))?.class))
        const { items, classes, memory } = pool.stats()
        assert.ok(items <= MAX_SIZE)
        assert.equal(left.filter(Boolean).length, items)
        for (const label of CLASSES) assert.equal(left.filter((one) => one === label).length, classes[label] ?? 0)
        assert.equal(memory.count, items)
      })
    })
  }
})
