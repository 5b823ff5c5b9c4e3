/** Worker threads that die: the call still succeeds or fails with a typed error, and the pool goes on. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import type { Worker } from "node:worker_threads"
import { Directory } from "../src/core/store/directory.ts"
import { type Collection, type Database, open, type SabineError } from "../src/index.ts"
import { randomVectors } from "./property/kernels/random.ts"

const ROWS = 8000
const DIMENSIONS = 128
const QUERIES = 1024
/** By then a worker has started and has a task again: one that dies before takes no task with it. */
const RESTARTED_MS = 250

/** Threads that are running, as Node announces them. */
const threads = new Set<Worker>()
process.on("worker", (worker) => {
  threads.add(worker)
  worker.once("exit", () => threads.delete(worker))
})

const killAll = async (): Promise<number> => {
  const killed = [...threads].map((worker) => worker.terminate())
  await Promise.all(killed)
  return killed.length
}

const vectors = randomVectors(1, ROWS * DIMENSIONS)
const queries = randomVectors(2, QUERIES * DIMENSIONS)
const keys = Array.from({ length: ROWS }, (_, i) => `k${i}`)

const filled = async (db: Database): Promise<Collection> => {
  const collection = await db.collection("c", { dimensions: DIMENSIONS, metric: "dot", codes: "published" })
  await collection.addMany({ keys, vectors })
  return collection
}

const search = (collection: Collection) => collection.searchMany(queries, { mode: "exact" })

const isFree = (collection: Collection): boolean => {
  const directory = new Directory(collection.share().handle.memory.directory)
  const { epoch } = directory
  return directory.advance() === epoch
}

/** Settles a call that may lose its workers: its value, or undefined after a `WorkerCrashed`. */
const survived = async <A>(call: Promise<A>): Promise<A | undefined> => {
  try {
    return await call
  } catch (error) {
    assert.equal((error as SabineError)._tag, "WorkerCrashed")
    assert.equal((error as SabineError).retryable, true)
    return undefined
  }
}

test("a search whose workers die once is run again", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await filled(db)
  const expected = await search(collection)
  const running = search(collection)
  await setTimeout(3)
  assert.ok((await killAll()) > 0)
  assert.deepEqual(await running, expected)
  assert.ok(isFree(collection))
})

test("a search whose workers keep dying fails with a typed error, and the next one succeeds", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await filled(db)
  const expected = await search(collection)
  const running = survived(search(collection))
  let settled = false
  running.finally(() => {
    settled = true
  })
  for (let kills = 0; kills < 4 && !settled; kills++) {
    await setTimeout(kills === 0 ? 3 : RESTARTED_MS)
    await killAll()
  }
  const found = await running
  if (found !== undefined) assert.deepEqual(found, expected)
  assert.ok(isFree(collection), "a failed search kept its claim")
  assert.deepEqual(await search(collection), expected)
})

test("workers that die idle are replaced", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await filled(db)
  const expected = await search(collection)
  for (let round = 0; round < 3; round++) {
    await killAll()
    assert.deepEqual(await search(collection), expected)
  }
})

test("a batch whose workers die is written whole or not at all", async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("c", { dimensions: DIMENSIONS, metric: "dot", codes: "published" })
  await collection.add({ key: "first", vector: vectors.subarray(0, DIMENSIONS) })
  for (const wait of [1, 10, 40]) {
    const done = await survived(
      (async () => {
        const added = collection.addMany({ keys, vectors })
        await Promise.all([added, setTimeout(wait).then(killAll)])
        return true
      })()
    )
    assert.equal(collection.size(), done === true ? ROWS + 1 : 1)
    if (done === true) {
      for (const row of [0, 1, 4000, ROWS - 1]) {
        const expected = vectors.slice(row * DIMENSIONS, (row + 1) * DIMENSIONS)
        assert.deepEqual((await collection.get(`k${row}`))?.vector, expected)
      }
      for (const key of keys) await collection.delete(key)
    }
  }
})

test("a build worker that dies fails the call that waits for it, and the next one starts another", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("c", { dimensions: 777 })
  const vector = randomVectors(3, 777)
  const added = survived(collection.add({ key: "a", vector }).then(() => true))
  await setTimeout(5)
  await killAll()
  const done = await added
  if (done === undefined) await collection.add({ key: "a", vector })
  assert.equal(collection.size(), 1)
})
