/** Lists that are split and merged under random writes: what they hold is what the store holds, saved and read too. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import fc from "fast-check"
import { regroup } from "../../src/core/collection/regrouping.ts"
import { kernels } from "../../src/core/native.ts"
import { loadImage, saveImage } from "../../src/core/store/image.ts"
import { METRICS, type PqShape } from "../../src/core/store/layout.ts"
import { packCentroids } from "../../src/core/store/list-columns.ts"
import type { Store } from "../../src/core/store/store.ts"
import { listAll, listedRows, liveRowsOf } from "../lists.ts"
import { regroupOnce, sizesOf } from "../regrouping.ts"
import { drop, newStore, put } from "../stores.ts"

const KEYS = 1000
const step = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    from: fc.nat({ max: KEYS }),
    count: fc.integer({ min: 1, max: 400 })
  }),
  fc.record({
    kind: fc.constant("drop" as const),
    from: fc.nat({ max: KEYS }),
    count: fc.integer({ min: 1, max: 600 })
  }),
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("regroup" as const),
      from: fc.integer({ min: 1, max: 40 }),
      count: fc.constant(0)
    })
  }
)

/** Fails unless every live row is in a list once, and lists say of themselves what is in them. */
const assertListed = (store: Store) => {
  const live = liveRowsOf(store)
  assert.deepEqual(listedRows(store), Array.from(live))
  const counted = sizesOf(store).map(() => 0)
  for (const row of live) counted[store.lists!.listOf(row)!]!++
  assert.deepEqual(counted, sizesOf(store))
}

test("lists that are split and merged hold every live row once, whatever is written", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-regrouping-"))
  t.after(() => rm(folder, { recursive: true }))
  let splits = 0
  let merges = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 20 }),
      fc.integer({ min: 1, max: 6 }),
      fc.constantFrom(...METRICS),
      fc.constantFrom<PqShape | undefined>(undefined, { m: 6, bits: 4 }, { m: 4, bits: 8, rotation: "pca" }),
      async (steps, lists, metric, pq) => {
        const store = newStore(kernels, { dimensions: 12, metric, precision: "f32", ...(pq && { pq }) })
        const keysFrom = (from: number, count: number) =>
          Array.from({ length: count }, (_, i) => `k${(from + i) % KEYS}`)
        put(store, keysFrom(0, 600), 5)
        listAll(store, lists)
        for (const [seed, { kind, from, count }] of steps.entries()) {
          const before = store.lists!.count
          if (kind === "write") put(store, keysFrom(from, count), seed)
          else if (kind === "drop") for (const key of keysFrom(from, count)) drop(store, key)
          else if (await regroupOnce(store, from, seed)) {
            if (store.lists!.count > before) splits++
            if (store.lists!.count < before) merges++
          }
          assertListed(store)
        }
        const path = join(folder, "image")
        await saveImage(store, { generation: 1, embedder: "" }, path)
        const loaded = await loadImage(kernels, path)
        assertListed(loaded.store)
        assert.deepEqual(sizesOf(loaded.store), sizesOf(store))
      }
    ),
    { numRuns: 60 }
  )
  assert.ok(splits > 0 && merges > 0, `${splits} rounds made lists and ${merges} took some`)
})

test("equal entries are split once, and again when they are twice as many", async () => {
  const store = newStore(kernels, { dimensions: 12, metric: "cosine", precision: "f32" })
  // One vector a batch of the same seed.
  for (let i = 0; i < 400; i++) put(store, [`k${i}`], 1)
  listAll(store, 1)
  const settle = async () => {
    let rounds = 0
    while (rounds < 9 && (await regroupOnce(store, 8, rounds))) rounds++
    return rounds
  }
  const first = await settle()
  assert.ok(first > 0 && first < 4, `${first} rounds`)
  for (let i = 400; i < 700; i++) put(store, [`k${i}`], 1)
  assert.equal(await settle(), 0)
  for (let i = 700; i < 900; i++) put(store, [`k${i}`], 1)
  assert.ok((await settle()) > 0)
  assertListed(store)
})

test("a list that no split could part is split once other entries have taken their place", async () => {
  const store = newStore(kernels, { dimensions: 12, metric: "cosine", precision: "f32" })
  for (let i = 0; i < 400; i++) put(store, [`k${i}`], 1)
  listAll(store, 1)
  for (let round = 0; round < 9 && (await regroupOnce(store, 8, round)); ) round++
  assert.equal(store.lists!.count, 1)
  for (let i = 0; i < 390; i++) drop(store, `k${i}`)
  put(
    store,
    Array.from({ length: 400 }, (_, i) => `other${i}`),
    2
  )
  assert.ok(await regroupOnce(store, 8, 1), `the list of ${sizesOf(store)} is left`)
  assert.ok(store.lists!.count > 3)
  assertListed(store)
})

test("what a split parted is not taken for what it could not, whatever merges into it", async () => {
  const store = newStore(kernels, { dimensions: 12, metric: "cosine", precision: "f32" })
  const keys = Array.from({ length: 600 }, (_, i) => `k${i}`)
  put(store, keys, 1)
  listAll(store, 3)
  const { lists } = store
  const [split, dropped, kept] = [0, 1, 2] as const
  const sizes = sizesOf(store)
  const centroids = packCentroids({
    columns: new Float32Array(3 * 256),
    halfNorms: new Float32Array(3),
    biases: new Float32Array(3)
  })
  // Half of the rows of the split go to either new list, and the others all to the first.
  const assign = async (rows: Uint32Array) =>
    rows.map((row, i) => (lists!.listOf(row) === split && i < sizes[split]! / 2 ? 2 : 1))
  const near = Uint32Array.of(0, 1, 2)
  const plan = { split: [split], dropped: [dropped], kept: Uint32Array.of(kept), near, checked: new Uint32Array() }
  await regroup(lists!, assign, { ...plan, count: 3, centroids, local: centroids })
  assert.ok(sizes[dropped]! > 0 && sizes[split]! > 1)
  assert.deepEqual(
    [0, 1, 2].map((list) => lists!.triedAt(list)),
    [0, 0, 0]
  )
  assertListed(store)
})
