/** Data that drifts away from what the lists were made of: they follow, while searches go on. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { serviceOf } from "../src/behind.ts"
import { insideOf } from "../src/core/collection/inside.ts"
import { open } from "../src/index.ts"
import { recallOf } from "./clusters.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { sizesOf } from "./regrouping.ts"

const DIMENSIONS = 64
const ROWS = 40_000
const DRIFTED = 20_000
const BATCH = 5000

/** `count` vectors around `topics` centres that lie about one subject; a seed for both names them. */
const about = (subject: number, topics: number, spread: number, count: number, seed: number): Float32Array => {
  const middle = randomVectors(subject, DIMENSIONS)
  const centres = randomVectors(subject + 1, topics * DIMENSIONS)
  return randomVectors(seed, count * DIMENSIONS).map((noise, i) => {
    const at = i % DIMENSIONS
    const topic = (Math.floor(i / DIMENSIONS) * 7) % topics
    return 0.5 * middle[at]! + 0.8 * centres[topic * DIMENSIONS + at]! + spread * noise
  })
}
const keysOf = (name: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${name}${from + i}`)

/** Waits until `isSo`, for a while: whether it came to be. */
const comes = async (isSo: () => boolean): Promise<boolean> => {
  for (let tries = 0; tries < 300; tries++) {
    if (isSo()) return true
    await setTimeout(100)
  }
  return isSo()
}

test("a cluster that comes later is split over lists, is found at the level asked for, and goes again", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-drift-"))
  t.after(() => rm(folder, { recursive: true }))
  const old = about(11, 200, 0.5, ROWS, 1)
  const fresh = about(77, 100, 0.3, DRIFTED, 2)
  const queries = about(77, 100, 0.3, 100, 3)
  const shape = { dimensions: DIMENSIONS, index: "ivf" } as const
  const fixed = old.subarray(0, DIMENSIONS)
  {
    await using db = await open(folder)
    const collection = await db.collection("drift", shape)
    await collection.addMany({ keys: keysOf("old", 0, ROWS), vectors: old })
    await collection.buildIndex()
    const { store } = insideOf(await Effect.runPromise(serviceOf(db).collection("drift", shape)))
    const made = collection.stats().lists
    const longest = () => Math.max(...sizesOf(store))
    const least = ROWS / 256 / 8
    const short = () => sizesOf(store).filter((size) => size < least).length
    const asList = () => collection.search(fixed, { mode: "ivf", nprobe: 65_536, k: 1 })
    let isOver = false
    const searching = (async () => {
      let searches = 0
      for (; !isOver; searches++) {
        const [hit] = await asList()
        assert.equal(hit?.key, "old0", `search ${searches} while lists changed`)
      }
      return searches
    })()
    let searches = 0
    try {
      for (let from = 0; from < DRIFTED; from += BATCH) {
        const vectors = fresh.subarray(from * DIMENSIONS, (from + BATCH) * DIMENSIONS)
        await collection.addMany({ keys: keysOf("new", from, from + BATCH), vectors })
      }
      const isSplit = await comes(
        () => longest() <= (4 * (ROWS + DRIFTED)) / 256 && collection.stats().calibration?.rows === ROWS + DRIFTED
      )
      const { lists, calibration } = collection.stats()
      assert.ok(isSplit, `the longest of ${lists} lists has ${longest()} rows, measured with ${calibration?.rows}`)
      assert.ok(lists > made, `${made} lists became ${lists}`)
      const recall = await recallOf(collection, queries, { recall: 0.95 })
      assert.ok(recall >= 0.93, `recall ${recall} of what drifted`)
      const found = await recallOf(collection, queries, { mode: "ivf", nprobe: 12, rerank: 512 })
      assert.ok(found >= 0.95, `recall ${found} in a twentieth of the lists`)
      for (let from = 0; from < DRIFTED; from += BATCH) {
        await Promise.all(keysOf("new", from, from + BATCH).map((key) => collection.delete(key)))
      }
      // What the last few took may wait for more.
      assert.ok(await comes(() => short() < 10), `${short()} of ${collection.stats().lists} lists are nearly empty`)
      assert.ok(collection.stats().lists < lists - 20, `${lists} lists became ${collection.stats().lists}`)
    } finally {
      isOver = true
      searches = await searching
    }
    assert.ok(searches > 10, `${searches} searches`)
    assert.equal(
      sizesOf(store).reduce((sum, size) => sum + size),
      ROWS
    )
    await db.save()
  }
  await using db = await open(folder)
  const collection = await db.collection("drift", shape)
  const { lists, entries } = collection.stats()
  assert.ok(lists > 0, "there are no lists in the image")
  const hits = await collection.searchMany(old.subarray(0, 200 * DIMENSIONS), { mode: "ivf", nprobe: lists, k: 1 })
  assert.deepEqual(hits.keys, keysOf("old", 0, 200))
  assert.equal(entries, ROWS)
})

test("how far lists have drifted since recall was measured is known after opening again", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-drift-"))
  t.after(() => rm(folder, { recursive: true }))
  const shape = { dimensions: DIMENSIONS, index: "ivf" } as const
  const rows = 24_000
  {
    await using db = await open(folder)
    const collection = await db.collection("drift", shape)
    await collection.addMany({ keys: keysOf("old", 0, rows), vectors: about(11, 200, 0.5, rows, 1) })
    await collection.buildIndex()
    assert.equal(collection.stats().calibration?.moved, undefined)
    await collection.addMany({ keys: keysOf("new", 0, 1100), vectors: about(77, 1, 0.1, 1100, 2) })
    assert.ok(await comes(() => (collection.stats().calibration?.moved ?? 0) > 0), "no list was split")
    assert.equal(collection.stats().calibration?.rows, rows, "so little is not measured unasked")
    await db.save()
  }
  await using db = await open(folder)
  const collection = await db.collection("drift", shape)
  const { moved = 0 } = collection.stats().calibration!
  assert.ok(moved > 0)
  await collection.buildIndex()
  assert.equal(collection.stats().calibration?.moved, undefined)
})

test("lists that were made of few entries while many came are not those that buildIndex leaves", async () => {
  await using db = await open(":memory:")
  const collection = await db.collection("growing", { dimensions: DIMENSIONS, index: "ivf" })
  const rows = 60_000
  const vectors = about(11, 200, 0.5, rows, 1)
  const part = async (from: number, to: number) =>
    collection.addMany({ keys: keysOf("k", from, to), vectors: vectors.subarray(from * DIMENSIONS, to * DIMENSIONS) })
  await part(0, BATCH)
  await part(BATCH, rows)
  await collection.buildIndex()
  const { lists } = collection.stats()
  assert.ok(lists > 230 && lists <= 256, `${lists} lists`)
})

test("lists and recall come back after a training, though nothing is written", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("read", { dimensions: DIMENSIONS, index: "ivf" })
  const rows = 4000
  await collection.addMany({ keys: keysOf("k", 0, rows), vectors: about(11, 200, 0.5, rows, 1) })
  await collection.buildIndex()
  const before = collection.stats().calibration?.curves
  await collection.train(about(77, 200, 0.5, rows, 3))
  const isBack = () => {
    const { lists, calibration } = collection.stats()
    return lists > 0 && calibration !== undefined && calibration.curves !== before
  }
  assert.ok(await comes(isBack))
})

test("recall is measured again once half of the entries were written anew, though there are no more of them", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-drift-"))
  t.after(() => rm(folder, { recursive: true }))
  const shape = { dimensions: DIMENSIONS, index: "none" } as const
  const rows = 4000
  const others = about(77, 200, 0.5, rows, 3)
  {
    await using db = await open(folder)
    const collection = await db.collection("drift", shape)
    await collection.addMany({ keys: keysOf("k", 0, rows), vectors: about(11, 200, 0.5, rows, 1) })
    await collection.buildIndex()
    const measured = collection.stats().calibration
    const write = (from: number, to: number) =>
      Promise.all(
        keysOf("k", from, to).map((key, i) =>
          collection.update({ key, vector: others.subarray((from + i) * DIMENSIONS, (from + i + 1) * DIMENSIONS) })
        )
      )
    await write(0, rows / 2)
    assert.deepEqual(collection.stats().calibration, { ...measured, written: rows / 2 }, "half is not measured unasked")
    await write(rows / 2, rows / 2 + 1)
    const isAgain = await comes(() => collection.stats().calibration?.written === undefined)
    assert.ok(isAgain && collection.stats().calibration?.curves !== measured?.curves)
    await write(rows / 2 + 1, rows)
    await collection.delete("k0")
    assert.equal(collection.stats().calibration?.written, rows / 2 - 1)
    await db.save()
  }
  await using db = await open(folder)
  const collection = await db.collection("drift", shape)
  assert.equal(collection.stats().calibration?.written, rows / 2 - 1)
  await collection.add({ key: "k0", vector: others.subarray(0, DIMENSIONS) })
  assert.equal(collection.stats().entries, collection.stats().calibration?.rows)
  await collection.buildIndex()
  assert.deepEqual([collection.stats().calibration?.written, collection.stats().calibration?.rows], [undefined, rows])
})
