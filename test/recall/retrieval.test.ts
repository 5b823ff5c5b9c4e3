/** Retrievals against their definitions, written directly. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { setImmediate as turn } from "node:timers/promises"
import fc from "fast-check"
import type { RecallPool } from "../../src/recall.ts"
import { turnsOf } from "../turns.ts"
import { Clock, cosine, vectorsOf, withPool } from "./pools.ts"

interface Item {
  readonly key: string
  readonly embedding: Float32Array
  readonly class: string
  readonly utility: number
}

const COUNT = 120
const CLASSES = ["red", "green", "blue"]
const vectors = vectorsOf(20, COUNT)
const items: ReadonlyArray<Item> = vectors.map((embedding, i) => ({
  key: `k${i}`,
  embedding,
  class: CLASSES[(i * 7) % 3]!,
  utility: ((i * 37) % 101) / 50 - 1
}))
const HOUR = 3_600_000

/** A pool of the items, each an hour younger than the one before. */
const withItems = <A>(use: (pool: RecallPool, clock: Clock) => Promise<A>): Promise<A> => {
  const clock = new Clock()
  return withPool({ clock: clock.read }, async (pool) => {
    for (const item of items) {
      await pool.add(item)
      clock.now += HOUR
    }
    return use(pool, clock)
  })
}

const ranked = (query: Float32Array, of: ReadonlyArray<Item> = items) =>
  of
    .map((item, at) => ({ item, at, similarity: cosine(item.embedding, query) }))
    .sort((a, b) => b.similarity - a.similarity)

const keysOf = (found: ReadonlyArray<{ readonly key: string }>) => found.map(({ key }) => key)
const close = (got: number, wanted: number, within = 1e-5) =>
  assert.ok(Math.abs(got - wanted) <= within, `${got}, not ${wanted}`)

/** The plain greedy choice: the largest of lambda * worth - (1 - lambda) * penalty, ties to the earlier. */
const greedy = (
  candidates: ReadonlyArray<{ readonly item: Item; readonly worth: number }>,
  k: number,
  lambda: number,
  floor: number
) => {
  const left = [...candidates]
  const chosen: Array<{ key: string; score: number; embedding: Float32Array }> = []
  while (chosen.length < k && left.length > 0) {
    const worthOf = ({ item, worth }: (typeof left)[number]) => {
      const like = chosen.map(({ embedding }) => cosine(embedding, item.embedding))
      return lambda * worth - (chosen.length === 0 ? 0 : (1 - lambda) * Math.max(floor, ...like))
    }
    const best = left.reduce((a, b) => (worthOf(b) > worthOf(a) ? b : a))
    chosen.push({ key: best.item.key, score: worthOf(best), embedding: best.item.embedding })
    left.splice(left.indexOf(best), 1)
  }
  return chosen
}

describe("retrievals", () => {
  const [query] = vectorsOf(21, 1)

  test("similar: the nearest, nearest first, under filters, and three when nothing is said", async () => {
    await withItems(async (pool) => {
      assert.deepEqual(
        keysOf(await pool.similar(query!)),
        keysOf(
          ranked(query!)
            .slice(0, 3)
            .map(({ item }) => item)
        )
      )
      const useful = items.filter(({ utility }) => utility >= 0.5)
      const found = await pool.similar(query!, { k: 7, filter: { utility: { gte: 0.5 } } })
      assert.deepEqual(
        keysOf(found),
        keysOf(
          ranked(query!, useful)
            .slice(0, 7)
            .map(({ item }) => item)
        )
      )
      for (const { key, score, explanation } of found) {
        close(score, cosine(items.find((item) => item.key === key)!.embedding, query!))
        assert.equal(explanation.similarity, score)
      }
      const near = await pool.similar(query!, { k: 100, minSimilarity: 0.2 })
      assert.equal(near.length, ranked(query!).filter(({ similarity }) => similarity >= 0.2).length)
    })
  })

  test("byClass and balanced: the nearest of a class, and of each", async () => {
    await withItems(async (pool) => {
      const nearest = (label: string, k: number) =>
        ranked(
          query!,
          items.filter((item) => item.class === label)
        ).slice(0, k)
      const found = await pool.byClass("green", { query: query!, k: 5 })
      assert.deepEqual(keysOf(found), keysOf(nearest("green", 5).map(({ item }) => item)))
      const even = await pool.balanced(query!, { perClass: 2 })
      const wanted = CLASSES.map((label) => nearest(label, 2)).sort((a, b) => b[0]!.similarity - a[0]!.similarity)
      assert.deepEqual(keysOf(even), keysOf(wanted.flat().map(({ item }) => item)))
      assert.deepEqual(await pool.byClass("black", { query: query! }), [])
      const two = await pool.balanced(query!, { perClass: 1, classes: ["red", "black"] })
      assert.deepEqual(
        two.map((item) => item.class),
        ["red"]
      )
    })
  })

  test("byUtility: the most useful, the older of equals, under filters", async () => {
    await withItems(async (pool) => {
      const sorted = (of: ReadonlyArray<Item>) => [...of].sort((a, b) => b.utility - a.utility)
      assert.deepEqual(keysOf(await pool.byUtility({ k: 110 })), keysOf(sorted(items).slice(0, 110)))
      const red = items.filter((item) => item.class === "red")
      assert.deepEqual(keysOf(await pool.byClass("red", { k: 9 })), keysOf(sorted(red).slice(0, 9)))
    })
  })

  test("diverse: the plain greedy definition, whatever lambda and k", async () => {
    await withItems(async (pool) => {
      const property = fc.asyncProperty(
        fc.nat(1000),
        fc.integer({ min: 1, max: 20 }),
        fc.nat(20),
        async (seed, k, twentieths) => {
          const [query] = vectorsOf(seed, 1)
          const lambda = twentieths / 20
          const found = await pool.diverse(query!, { k, lambda, candidates: 60 })
          const candidates = ranked(query!)
            .slice(0, 60)
            .map(({ item, similarity }) => ({ item, worth: similarity }))
          const wanted = greedy(candidates, k, lambda, Number.NEGATIVE_INFINITY)
          for (const [i, { key, score }] of found.entries()) {
            close(score, wanted[i]!.score)
            if (i === 0 || Math.abs(wanted[i]!.score - score) > 1e-6) assert.equal(key, wanted[i]!.key)
          }
          assert.equal(found.length, k)
        }
      )
      await fc.assert(property, { seed: 42, numRuns: 40 })
    })
  })

  test("diverse: stops before the mean distance of the pairs falls under minDispersion", async () => {
    await withPool({}, async (pool) => {
      const apart = vectorsOf(22, 2)
      const alike = vectorsOf(23, 6).map((noise) => apart[0]!.map((x, i) => x + 0.01 * noise[i]!))
      await pool.addMany([...apart, ...alike].map((embedding, i) => ({ key: `${i}`, embedding })))
      const all = await pool.diverse(apart[0]!, { k: 8, lambda: 0.3 })
      assert.equal(all.length, 8)
      const some = await pool.diverse(apart[0]!, { k: 8, lambda: 0.3, minDispersion: 0.4 })
      const dispersion = (count: number) => {
        let [sum, pairs] = [0, 0]
        const embedded = all.slice(0, count).map(({ key }) => [...apart, ...alike][Number(key)]!)
        for (const [i, a] of embedded.entries())
          for (const b of embedded.slice(0, i)) {
            sum += 1 - cosine(a, b)
            pairs++
          }
        return sum / pairs
      }
      assert.deepEqual(keysOf(some), keysOf(all.slice(0, some.length)))
      assert.ok(some.length > 1 && some.length < 8)
      assert.ok(dispersion(some.length) >= 0.4 && dispersion(some.length + 1) < 0.4)
    })
  })

  test("hybrid: the weighted sum with decay, then the greedy choice, every part of the score explained", async () => {
    await withItems(async (pool, clock) => {
      const property = fc.asyncProperty(
        fc.record({
          seed: fc.nat(1000),
          k: fc.integer({ min: 1, max: 12 }),
          lambda: fc.nat(20).map((x) => x / 20),
          weights: fc.record({ similarity: fc.nat(10).map((x) => x + 1), utility: fc.nat(10), class: fc.nat(10) }),
          decay: fc.constantFrom(0, 0.02, 0.1),
          label: fc.constantFrom(undefined, "red", "black")
        }),
        async ({ seed, k, lambda, weights, decay, label }) => {
          const [query] = vectorsOf(seed, 1)
          const options = { k, lambda, weights, decay, class: label, candidates: 40 }
          const found = await pool.hybrid(query!, options)
          const near = ranked(query!).slice(0, 40)
          const [most, least] = [near[0]!.similarity, near[39]!.similarity]
          const sum = weights.similarity + weights.utility + weights.class
          const candidates = near.map(({ item, at, similarity }) => {
            const scaled = (similarity - least) / (most - least)
            const agrees = label === undefined || item.class === label ? 1 : 0
            const hours = COUNT - at
            const weighed =
              weights.similarity * scaled + (weights.utility * (item.utility + 1)) / 2 + weights.class * agrees
            return { item, worth: (weighed / sum) * Math.exp(-decay * hours) }
          })
          const wanted = greedy(candidates, k, lambda, 0)
          assert.equal(found.length, k)
          for (const [i, { key, score, explanation }] of found.entries()) {
            close(score, wanted[i]!.score)
            const { relevance, recency, nearestChosen = 0 } = explanation
            close(relevance!, candidates.find(({ item }) => item.key === key)!.worth)
            close(score, lambda * relevance! - (1 - lambda) * Math.max(0, nearestChosen))
            assert.ok(recency! > 0 && recency! <= 1)
          }
        }
      )
      await fc.assert(property, { seed: 42, numRuns: 60 })
      assert.equal(clock.now > 0, true)
    })
  })

  test("hybrid and diverse: what they weigh by default", async () => {
    await withItems(async (pool) => {
      const near = ranked(query!).slice(0, 50)
      const [most, least] = [near[0]!.similarity, near[49]!.similarity]
      const candidates = near.map(({ item, at, similarity }) => {
        const scaled = (similarity - least) / (most - least)
        const agrees = item.class === "red" ? 1 : 0
        const sum = 0.65 * scaled + (0.2 * (item.utility + 1)) / 2 + 0.1 * agrees
        return { item, worth: (sum / 0.95) * Math.exp(-0.02 * (COUNT - at)) }
      })
      const found = await pool.hybrid(query!, { class: "red" })
      const wanted = greedy(candidates, 3, 0.7, 0)
      assert.deepEqual(keysOf(found), keysOf(wanted))
      for (const [i, { score }] of found.entries()) close(score, wanted[i]!.score)
      const plain = near.map(({ item, similarity }) => ({ item, worth: similarity }))
      const apart = await pool.diverse(query!)
      assert.deepEqual(keysOf(apart), keysOf(greedy(plain, 3, 0.7, Number.NEGATIVE_INFINITY)))
    })
  })

  test("of which one is removed before it is read find another in its place", async () => {
    await withItems(async (pool) => {
      const all = ranked(query!).map(({ item }) => item.key)
      const calls: ReadonlyArray<() => Promise<ReadonlyArray<{ readonly key: string }>>> = [
        () => pool.similar(query!, { k: 20 }),
        () => pool.diverse(query!, { k: 20, lambda: 1 }),
        () => pool.hybrid(query!, { k: 20, lambda: 1, weights: { similarity: 1, utility: 0, class: 0 }, decay: 0 })
      ]
      for (const [i, call] of calls.entries()) {
        const gone = all[19 - i]!
        let found: ReadonlyArray<string> = []
        await turnsOf(async () => {
          const finding = call()
          await turn()
          await pool.remove(gone)
          found = keysOf(await finding)
        })
        all.splice(19 - i, 1)
        assert.deepEqual(found, all.slice(0, 20), `${i}`)
      }
    })
  })

  test("under a filter, each finds what it would find if there were nothing else", async () => {
    const isIn = ({ utility }: Item) => utility >= 0 && utility < 0.8
    const filter = { utility: { gte: 0, lt: 0.8 } }
    const ofPool = (only: (item: Item) => boolean, options: { filter?: typeof filter }) => {
      const clock = new Clock()
      return withPool({ clock: clock.read }, async (pool) => {
        for (const item of items) {
          clock.now += HOUR
          if (only(item)) await pool.add(item)
        }
        const found = [
          await pool.similar(query!, { k: 9, ...options }),
          await pool.byClass("red", { k: 9, query: query!, ...options }),
          await pool.byClass("red", { k: 9, ...options }),
          await pool.balanced(query!, { perClass: 3, ...options }),
          await pool.byUtility({ k: 9, ...options }),
          await pool.diverse(query!, { k: 9, lambda: 0.4, minDispersion: 0.3, ...options }),
          await pool.hybrid(query!, { k: 9, class: "green", ...options }),
          await pool.hybrid(query!, { k: 1024, minSimilarity: 0.1, ...options })
        ]
        return found.map((one) => one.map(({ key, score }) => [key, score.toFixed(5)]))
      })
    }
    assert.deepEqual(await ofPool(() => true, { filter }), await ofPool(isIn, {}))
  })

  test("of an empty pool, of one item and of items that are all the same find what there is", async () => {
    await withPool({}, async (pool) => {
      const all = () =>
        Promise.all([
          pool.similar(query!, { k: 5 }),
          pool.diverse(query!, { k: 5, minDispersion: 0.1 }),
          pool.hybrid(query!, { k: 5 }),
          pool.balanced(query!, { perClass: 5 }),
          pool.byUtility({ k: 5 }),
          pool.byClass("c", { query: query!, k: 5 })
        ])
      assert.deepEqual(
        (await all()).map((found) => found.length),
        [0, 0, 0, 0, 0, 0]
      )
      await pool.add({ embedding: query!, class: "c" })
      assert.deepEqual(
        (await all()).map((found) => found.length),
        [1, 1, 1, 1, 1, 1]
      )
      await pool.addMany(Array.from({ length: 9 }, () => ({ embedding: query!, class: "c" })))
      const found = await all()
      assert.deepEqual(
        found.map(({ length }) => length),
        [5, 1, 5, 5, 5, 5]
      )
      for (const { score } of found.flat()) assert.ok(Number.isFinite(score))
    })
  })
})
