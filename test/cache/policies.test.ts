/** What gives way, against models that remember everything; and caches that stay within their bounds. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { EvictionPolicy, PolicyRows } from "../../src/cache.ts"
import { diversity } from "../../src/core/cache/policies/diversity.ts"
import { fifo } from "../../src/core/cache/policies/fifo.ts"
import { lfu } from "../../src/core/cache/policies/lfu.ts"
import { lru } from "../../src/core/cache/policies/lru.ts"
import { ask, withCache } from "./caches.ts"

const ROWS = 40

/** Rows in memory of their own. */
const fakeRows = (took: (row: number) => number) => {
  const [frequency, flags, made] = [new Uint8Array(ROWS), new Uint8Array(ROWS), new Float64Array(ROWS)]
  const rows: PolicyRows = {
    rows: ROWS,
    size: ROWS,
    marks: (slot) => ({ frequency, flags, slot }),
    at: (row) => ({ made: made[row]!, took: took(row) }) as ReturnType<PolicyRows["at"]>,
    hashOf: (row) => Math.imul(row + 1, 0x9e3779b1) >>> 0
  }
  return { rows, made }
}

interface Event {
  readonly row: number
  readonly what: "stored" | "served" | "covered"
}
const event: fc.Arbitrary<Event> = fc.record({
  row: fc.nat(ROWS - 1),
  what: fc.constantFrom("served", "served", "covered", "stored")
})
const events = fc.array(event, { minLength: 1, maxLength: 250 })

/** The row that a policy lets go, after events: the least worthy of those that were ever stored. */
const leastOf = (policy: EvictionPolicy, made: Float64Array, list: ReadonlyArray<Event>): number => {
  const there = new Set<number>()
  for (const [i, { row, what }] of list.entries()) {
    if (!there.has(row) || what === "stored") {
      made[row] = i
      policy.stored(row)
      there.add(row)
    } else policy.served(row, what === "covered")
  }
  return [...there].reduce((least, row) => (policy.worth(row) < policy.worth(least) ? row : least))
}

/** Every event of each row, in order. */
const historyOf = (list: ReadonlyArray<Event>): ReadonlyArray<readonly [row: number, uses: ReadonlyArray<number>]> => {
  const history = new Map<number, Array<number>>()
  for (const [i, { row }] of list.entries()) history.set(row, [...(history.get(row) ?? []), i])
  return [...history]
}

const leastBy = <A>(all: ReadonlyArray<A>, of: (one: A) => number): A =>
  all.reduce((least, one) => (of(one) < of(least) ? one : least))

test("lru lets go what was used longest ago", () => {
  fc.assert(
    fc.property(events, (list) => {
      const { rows, made } = fakeRows(() => 0)
      const [wanted] = leastBy(historyOf(list), ([, uses]) => uses.at(-1)!)
      assert.equal(leastOf(lru(rows), made, list), wanted)
    })
  )
})

test("fifo lets go what was stored longest ago, however often it was served", () => {
  fc.assert(
    fc.property(events, (list) => {
      const { rows, made } = fakeRows(() => 0)
      const isStored = (i: number, uses: ReadonlyArray<number>) => i === uses[0] || list[i]!.what === "stored"
      const [wanted] = leastBy(historyOf(list), ([, uses]) => uses.findLast((i) => isStored(i, uses))!)
      assert.equal(leastOf(fifo(rows), made, list), wanted)
    })
  )
})

test("lfu lets go what was used least, up to fifteen times, and of those what was used longest ago", () => {
  fc.assert(
    fc.property(events, (list) => {
      const { rows, made } = fakeRows(() => 0)
      const [wanted] = leastBy(historyOf(list), ([, uses]) => Math.min(15, uses.length) + uses.at(-1)! / 1000)
      assert.equal(leastOf(lfu(rows), made, list), wanted)
    })
  )
})

test("diversity weighs what a row alone answered of late with what it took to make", () => {
  const took = (row: number) => 1 + (row % 7) * 10
  const long = fc.array(event, { minLength: 1, maxLength: 2000 })
  fc.assert(
    fc.property(long, (list) => {
      const { rows, made } = fakeRows(took)
      const policy = diversity(rows)
      leastOf(policy, made, list)
      const uses = new Map<number, number>()
      for (const [i, { row, what }] of list.entries()) {
        // All rows are passed at each event; every 32nd time a twelfth is taken.
        if ((i + 1) % 32 === 0) for (const [other, count] of uses) uses.set(other, (count * 11) / 12)
        const before = what === "stored" ? 0 : (uses.get(row) ?? 0)
        uses.set(row, Math.min(32, before + (what === "covered" && uses.has(row) ? 0.2 : 1)))
      }
      for (const [row, count] of uses) {
        const found = policy.worth(row) / took(row) / 2048
        assert.ok(Math.abs(found - count) < 0.01 * count + 0.01, `row ${row}: ${found}, wanted ${count}`)
      }
    }),
    { numRuns: 50 }
  )
})

interface Step {
  readonly name: number
  readonly what: "get" | "set" | "invalidate"
}
const step: fc.Arbitrary<Step> = fc.record({
  name: fc.nat(19),
  what: fc.constantFrom("get", "set", "set", "invalidate")
})

test("a cache keeps the newest of what was set, to the entry, when the first in is the first out", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), async (steps, maxEntries) => {
      const options = { maxEntries, eviction: "fifo", embedder: undefined, dimensions: 20, threshold: 0.9 } as const
      await withCache(options, async ({ cache, pass }) => {
        const model = new Map<number, number>()
        for (const [i, { name, what }] of steps.entries()) {
          pass(1)
          const vector = Float32Array.from({ length: 20 }, (_, at) => (at === name ? 1 : 0))
          if (what === "get") {
            const found = await cache.get(ask(`q ${name}`), { vector })
            assert.equal(found.isHit ? found.value : undefined, model.get(name))
          } else if (what === "invalidate") {
            const { key } = await cache.get(ask(`q ${name}`), { vector })
            assert.equal(await cache.invalidate({ key }), model.delete(name) ? 1 : 0)
          } else {
            await cache.set(ask(`q ${name}`), i, { vector })
            model.delete(name)
            model.set(name, i)
            if (model.size > maxEntries) model.delete(model.keys().next().value!)
          }
          assert.equal(cache.stats().entries, model.size)
        }
      })
    }),
    { numRuns: 20 }
  )
})

test("bytes stay within the budget whatever the policy, and what is used stays", async () => {
  const maxBytes = 200_000
  for (const eviction of ["lru", "lfu", "fifo", "diversity"] as const) {
    const options = { maxBytes, eviction, embedder: undefined, dimensions: 2 }
    await withCache(options, async ({ cache, pass }) => {
      for (let i = 0; i < 600; i++) {
        pass(1)
        await cache.set(ask(`q ${i}`), "x".repeat(500 + (i % 7) * 400), { vector: [1, i] })
        if (eviction !== "fifo") assert.equal((await cache.get(ask("q 0"))).isHit, true, `${eviction}: ${i}`)
        assert.ok(cache.stats().bytes <= maxBytes, `${cache.stats().bytes} bytes`)
      }
      const { bytes, evicted, entries } = cache.stats()
      assert.ok(bytes > 0.5 * maxBytes && evicted + entries === 600, `${eviction}: ${bytes}, ${evicted}, ${entries}`)
    })
  }
})

test("the bytes that a cache tells are a bound that another one takes", async () => {
  const options = { embedder: undefined, dimensions: 2 }
  let maxBytes = 0
  await withCache(options, async ({ cache }) => {
    // Columns of an entry take parts of bytes.
    for (let i = 0; i < 301; i++) await cache.set(ask(`q ${i}`), "x".repeat(300), { vector: [1, i] })
    maxBytes = cache.stats().bytes
  })
  await withCache({ ...options, maxBytes }, async ({ cache }) => assert.equal(cache.stats().maxBytes, maxBytes))
})

test("what is expired gives way before anything else", async () => {
  const options = { maxEntries: 3, embedder: undefined, dimensions: 2, threshold: 1 }
  await withCache(options, async ({ cache, pass }) => {
    const at = (i: number) => ({ vector: [1, i] })
    await cache.set(ask("q 0"), 0, at(0))
    await cache.set(ask("q 1"), 1, at(1))
    await cache.set(ask("q 2"), 2, { ...at(2), ttlMs: 5 })
    pass(5)
    await cache.set(ask("q 3"), 3, at(3))
    const hits = await Promise.all([0, 1, 2, 3].map(async (i) => (await cache.get(ask(`q ${i}`), at(i))).isHit))
    assert.deepEqual(hits, [true, true, false, true])
  })
})

test("one entry that is large for the cache does not drive out all others", async () => {
  await withCache({ maxBytes: 100_000, embedder: undefined, dimensions: 2, threshold: 1 }, async ({ cache }) => {
    for (let i = 0; i < 100; i++) await cache.set(ask(`q ${i}`), i, { vector: [1, i] })
    const kept = [
      await cache.set(ask("a large answer"), "x".repeat(12_000), { vector: [1, 0] }),
      await cache.set(ask("a large question ".repeat(1000)), 1, { vector: [1, 0] })
    ]
    for (const one of kept) assert.ok(!one.isKept && one.reason === "too-large")
    assert.equal(cache.stats().entries, 100)
  })
})
