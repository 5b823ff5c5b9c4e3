/** Lists under random writes: what they hold is what the store holds, through rewriting and reuse of blocks. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { kernels } from "../../src/core/native.ts"
import { listAll, listedRows, liveRowsOf } from "../lists.ts"
import { drop, newStore, put } from "../stores.ts"

const DIMENSIONS = 12

const step = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    from: fc.nat({ max: 500 }),
    count: fc.integer({ min: 1, max: 90 })
  }),
  fc.record({ kind: fc.constant("drop" as const), from: fc.nat({ max: 500 }), count: fc.integer({ min: 1, max: 300 }) })
)

test("lists hold every live row once, whatever is written", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), fc.integer({ min: 1, max: 6 }), (steps, lists) => {
      const store = newStore(kernels, { dimensions: DIMENSIONS, metric: "cosine", precision: "f32" })
      put(
        store,
        Array.from({ length: 200 }, (_, i) => `k${i}`),
        5
      )
      listAll(store, lists)
      for (const [seed, { kind, from, count }] of steps.entries()) {
        const keys = Array.from({ length: count }, (_, i) => `k${(from + i) % 600}`)
        if (kind === "write") put(store, keys, seed)
        else for (const key of keys) drop(store, key)
        assert.deepEqual(listedRows(store), Array.from(liveRowsOf(store)))
      }
    }),
    { numRuns: 40 }
  )
})

test("blocks of lists are used again: churn does not grow them", () => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric: "cosine", precision: "f32" })
  const keys = Array.from({ length: 640 }, (_, i) => `k${i}`)
  put(store, keys, 5)
  listAll(store, 4)
  const before = store.lists!.bytes.touched
  for (let round = 0; round < 60; round++) put(store, keys.slice((round * 64) % 640, ((round * 64) % 640) + 64), round)
  assert.ok(store.lists!.bytes.touched < 4 * before, `${before} bytes grew to ${store.lists!.bytes.touched}`)
  assert.deepEqual(listedRows(store), Array.from(liveRowsOf(store)))
})
