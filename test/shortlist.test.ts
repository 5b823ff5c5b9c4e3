/** What many lists are ranked by follows their centroids: when they are made, change, are opened, and on other threads. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { MessageChannel } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { serviceOf } from "../src/behind.ts"
import { insideOf } from "../src/core/collection/inside.ts"
import { kernels } from "../src/core/native.ts"
import { aligned } from "../src/core/store/aligned.ts"
import { AttachedMemory } from "../src/core/store/attach.ts"
import { loadImage, saveImage } from "../src/core/store/image.ts"
import { makeShortlist } from "../src/core/store/list-columns.ts"
import type { Searchable } from "../src/core/store/searchable.ts"
import { open } from "../src/index.ts"
import { listAll } from "./lists.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { regroupOnce } from "./regrouping.ts"
import { drop, newStore, put } from "./stores.ts"

const DIMENSIONS = 16
const ROWS = 2500
const LISTS = 600
const keys = Array.from({ length: ROWS }, (_, i) => `k${i}`)

/** That a memory has the shortlist of its centroids. */
const assertFollows = async ({ columns }: Searchable) => {
  const made = await makeShortlist(kernels, columns.layout, columns.centroids!)
  assert.ok(columns.lists?.shortlist)
  // A comparison that fails would print every byte.
  assert.ok(Buffer.from(columns.lists.shortlist).equals(aligned(kernels, made!)))
}

test("many lists of a collection are made with a shortlist, few of them without", async () => {
  await using db = await open(":memory:")
  const vectors = randomVectors(1, ROWS * DIMENSIONS)
  for (const lists of [LISTS, 500]) {
    const shape = { dimensions: DIMENSIONS, index: { ivf: { lists } } }
    const collection = await db.collection(`${lists}`, shape)
    await collection.addMany({ keys, vectors })
    await collection.buildIndex()
    const { store } = insideOf(await Effect.runPromise(serviceOf(db).collection(`${lists}`, shape)))
    if (lists === LISTS) await assertFollows(store)
    else assert.equal(store.columns.lists?.shortlist, undefined)
    const [hit] = await collection.search(vectors.subarray(0, DIMENSIONS), { mode: "ivf", nprobe: 100, k: 1 })
    assert.equal(hit?.key, "k0")
  }
})

test("a shortlist follows centroids that change, on every thread and in images", async (t) => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric: "l2", precision: "f32" })
  put(store, keys, 1)
  listAll(store, 2 * LISTS)
  const lists = store.lists!
  await lists.shorten()
  store.useLists(lists)
  const { port1, port2 } = new MessageChannel()
  t.after(store.onGrowth((handle) => port1.postMessage(handle)))
  t.after(() => port1.close())
  const attached = new AttachedMemory(kernels, structuredClone(store.handle()), store.directory.newReader(), port2)
  await assertFollows(store)
  await assertFollows(attached)
  for (const key of keys.slice(ROWS / 2)) drop(store, key)
  const { length } = store.columns.lists!.biases
  assert.ok(await regroupOnce(store, 100, 1))
  assert.notEqual(store.columns.lists!.biases.length, length)
  await assertFollows(store)
  attached.sync()
  assert.equal(attached.columns.lists!.biases.length, store.columns.lists!.biases.length)
  await assertFollows(attached)
  const folder = await mkdtemp(join(tmpdir(), "sabine-shortlist-"))
  t.after(() => rm(folder, { recursive: true }))
  await saveImage(store, { generation: 1, embedder: "" }, join(folder, "image"))
  const loaded = await loadImage(kernels, join(folder, "image"))
  assert.equal(loaded.store.lists?.count, store.lists?.count)
  await assertFollows(loaded.store)
})
