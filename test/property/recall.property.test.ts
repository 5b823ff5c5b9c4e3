/** A pool against a naive one: the same calls, the same items, the same answers, whatever the order. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { EvictionName, RecallPool } from "../../src/recall.ts"
import { cosine, type NaiveItem, nearestOf, vectorsOf, withPool } from "../recall/pools.ts"

const VECTORS = vectorsOf(70, 64)
const MAX_SIZE = 12

/** An array of items and the plainest code that does what a pool promises. */
class NaivePool {
  readonly items = new Map<string, NaiveItem>()
  readonly #eviction: EvictionName
  #sequence = 0

  constructor(eviction: EvictionName) {
    this.#eviction = eviction
  }

  /** Whether the items could be added. */
  add(added: ReadonlyArray<{ key: string; embedding: Float32Array; utility: number }>): boolean {
    const keys = new Set(added.map(({ key }) => key))
    if (keys.size < added.length || added.some(({ key }) => this.items.has(key)) || added.length > MAX_SIZE)
      return false
    const surplus = Math.max(0, this.items.size + added.length - MAX_SIZE)
    const rank = ({ came, used, utility }: NaiveItem): number =>
      this.#eviction === "oldest" ? came : this.#eviction === "leastUseful" ? utility : used
    const ranked = [...this.items.values()].sort((a, b) => rank(a) - rank(b) || a.came - b.came)
    for (const { key } of ranked.slice(0, surplus)) this.items.delete(key)
    for (const item of added) {
      const came = ++this.#sequence
      this.items.set(item.key, { ...item, outcomes: 0, came, used: came })
    }
    return true
  }

  used(keys: ReadonlyArray<string>): void {
    for (const key of keys) this.items.get(key)!.used = ++this.#sequence
  }

  feedback(key: string, deltaLoss: number): boolean {
    const item = this.items.get(key)
    if (item === undefined) return false
    const observed = -Math.min(1, Math.max(-1, deltaLoss))
    const utility = item.utility + (observed - item.utility) / (item.outcomes + 1)
    this.items.set(key, { ...item, utility, outcomes: item.outcomes + 1 })
    return true
  }
}

type Step = (pool: RecallPool, naive: NaivePool) => Promise<void>

const key = fc.nat({ max: 24 }).map((n) => `k${n}`)
const vector = fc.nat({ max: VECTORS.length - 1 }).map((i) => VECTORS[i]!)
const item = fc.record({ key, embedding: vector, utility: fc.integer({ min: -10, max: 10 }).map((x) => x / 10) })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(item, { minLength: 1, maxLength: 4, size: "max" }).map(
      (items): Step =>
        async (pool, naive) => {
          const isAdded = await pool.addMany(items).then(
            () => true,
            (error) => {
              assert.match(error._tag, /DuplicateKey|CapacityExceeded/)
              return false
            }
          )
          assert.equal(isAdded, naive.add(items))
        }
    )
  },
  {
    weight: 1,
    arbitrary: key.map(
      (key): Step =>
        async (pool, naive) => {
          assert.equal(await pool.remove(key), naive.items.delete(key))
        }
    )
  },
  {
    weight: 3,
    arbitrary: fc.tuple(vector, fc.integer({ min: 1, max: 5 })).map(
      ([query, k]): Step =>
        async (pool, naive) => {
          const found = (await pool.similar(query, { k })).map(({ key }) => key)
          // Of equals any may come first.
          const scoreOf = (key: string) => cosine(naive.items.get(key)!.embedding, query).toFixed(5)
          assert.deepEqual(found.map(scoreOf), nearestOf(naive.items.values(), query, k).map(scoreOf))
          naive.used(found)
        }
    )
  },
  {
    weight: 1,
    arbitrary: fc.tuple(key, fc.integer({ min: -20, max: 20 })).map(
      ([key, tenths]): Step =>
        async (pool, naive) => {
          const isKnown = await pool.feedback([{ key, deltaLoss: tenths / 10 }]).then(
            () => true,
            () => false
          )
          assert.equal(isKnown, naive.feedback(key, tenths / 10))
        }
    )
  },
  {
    weight: 1,
    arbitrary: fc.constant<Step>(async (pool, naive) => {
      const found = await pool.byUtility({ k: 3 })
      const wanted = [...naive.items.values()].sort((a, b) => b.utility - a.utility || a.came - b.came).slice(0, 3)
      assert.deepEqual(
        found.map(({ key }) => key),
        wanted.map(({ key }) => key)
      )
      naive.used(found.map(({ key }) => key))
    })
  }
)

for (const eviction of ["oldest", "leastUseful", "leastRecentlyUsed"] as const) {
  test(`a pool that loses the ${eviction} is what the naive one is after any calls`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 60 }), async (steps) => {
        await withPool({ maxSize: MAX_SIZE, eviction }, async (pool) => {
          const naive = new NaivePool(eviction)
          for (const run of steps) {
            await run(pool, naive)
            const { items, memory } = pool.stats()
            assert.deepEqual([items, memory.count], [naive.items.size, naive.items.size])
          }
          for (const [key, { utility, outcomes }] of naive.items) {
            const found = await pool.get(key)
            assert.ok(found !== undefined, `${key} is lost`)
            assert.ok(Math.abs(found.utility - utility) < 1e-9)
            assert.equal(found.outcomes, outcomes)
          }
        })
      }),
      { seed: 42, numRuns: 40 }
    )
  })
}
