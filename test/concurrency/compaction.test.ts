/** Readers on other threads miss nothing, and meet nothing twice, while the owner moves everything about. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import { type Collection, open } from "../../src/index.ts"
import type { CompactionReaderReport, CompactionReaderTask } from "./compaction-reader.ts"
import { BEGUN, STOP, seconds, WRITING } from "./readers.ts"
import { DIMENSIONS, entryOf, keyOf, vectorOf } from "./self-check.ts"

const STABLE = 4000
const COMING = 4000
/** Parts in which what came goes again, with a compaction after each. */
const PARTS = 8
const READERS = 2

const addMany = (collection: Collection, from: number, to: number): Promise<void> => {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i)
  const vectors = new Float32Array(numbers.length * DIMENSIONS)
  for (const [i, number] of numbers.entries()) vectors.set(vectorOf(number, 0), i * DIMENSIONS)
  return collection.addMany({ keys: numbers.map(keyOf), vectors, payloads: numbers.map((number) => `${number}`) })
}

test("searches and walks on other threads lose no entry to a compaction", async (t) => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("rows", {
    dimensions: DIMENSIONS,
    metric: "l2",
    codes: "published",
    index: "ivf"
  })
  await addMany(collection, 0, STABLE)
  await collection.buildIndex()
  const control = new Int32Array(new SharedArrayBuffer(12))
  let failure: unknown
  const reports = Array.from({ length: READERS }, (_, i) => {
    const { handle, transferList } = collection.share()
    const task: CompactionReaderTask = { handle, stable: STABLE, seed: i + 1, inPool: i % 2 === 1, control }
    const worker = new Worker(new URL("./compaction-reader.ts", import.meta.url), { workerData: task, transferList })
    return new Promise<CompactionReaderReport>((resolve, reject) => {
      worker.once("message", resolve)
      worker.once("error", (error) => {
        failure ??= error
        reject(error)
      })
    })
  })
  t.after(() => Atomics.store(control, STOP, 1))
  const all = Promise.all(reports)
  all.catch(() => undefined)
  while (Atomics.load(control, BEGUN) < READERS && failure === undefined) await setTimeout(1)
  const until = performance.now() + seconds(4) * 1000
  let moved = 0
  for (let round = 0; (performance.now() < until || round < 2) && failure === undefined; round++) {
    Atomics.add(control, WRITING, 1)
    await addMany(collection, STABLE, STABLE + COMING)
    // The stable entries go beyond those that came.
    for (let number = 0; number < STABLE; number += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, i) => collection.update(entryOf(number + i, 0))))
    }
    Atomics.add(control, WRITING, 1)
    for (let part = 0; part < PARTS && failure === undefined; part++) {
      for (let number = STABLE + part; number < STABLE + COMING; number += PARTS) await collection.delete(keyOf(number))
      const { movedRows } = await collection.compact()
      moved += movedRows
      await setTimeout(5)
    }
    if (failure !== undefined) break
    const { rows } = collection.stats()
    assert.ok(rows < STABLE * 1.05, `${rows} slots for ${STABLE} entries`)
    await setTimeout(50)
  }
  Atomics.store(control, STOP, 1)
  const found = await all
  const sum = (of: keyof CompactionReaderReport) => found.reduce((total, report) => total + report[of], 0)
  t.diagnostic(`${moved} rows moved; ${sum("searches")} searches, ${sum("iterations")} walks`)
  assert.ok(moved > STABLE && sum("searches") > 0)
})

test("a walk that sleeps through compactions meets every entry once", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("rows", { dimensions: DIMENSIONS, metric: "l2" })
  await addMany(collection, 0, 3000)
  const met: Array<string> = []
  const staying = new Set(Array.from({ length: 3000 }, (_, i) => keyOf(i)))
  let next = 0
  for await (const { key } of collection.entries()) {
    met.push(key)
    if (met.length % 300 !== 0) continue
    for (let i = 0; i < 250; i++, next++) {
      staying.delete(keyOf(next))
      await collection.delete(keyOf(next))
    }
    await collection.compact()
  }
  assert.equal(new Set(met).size, met.length, "an entry was met twice")
  for (const key of staying) assert.ok(met.includes(key), `${key} was not met`)
})
