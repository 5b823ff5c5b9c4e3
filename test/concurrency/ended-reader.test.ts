/** A thread that ends in the middle of a search must not keep slots from being reused. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import { Directory } from "../../src/core/store/directory.ts"
import { type Collection, open } from "../../src/index.ts"
import { startReaders } from "./readers.ts"
import { DIMENSIONS, entryOf } from "./self-check.ts"

const ROWS = 500

const filled = async (db: Awaited<ReturnType<typeof open>>): Promise<Collection> => {
  const collection = await db.collection("rows", { dimensions: DIMENSIONS, metric: "l2", codes: "published" })
  await collection.addMany(Array.from({ length: ROWS }, (_, number) => entryOf(number, 0)))
  return collection
}

/** Each update takes a slot and gives one back. */
const churn = async (collection: Collection, writes: number): Promise<number> => {
  for (let i = 0; i < writes; i++) await collection.update(entryOf(i % ROWS, i))
  return collection.stats().rows
}

/** Whether no thread holds an epoch. */
const isFree = (collection: Collection): boolean => {
  const directory = new Directory(collection.share().handle.memory.directory)
  const { epoch } = directory
  return directory.advance() === epoch
}

test("what a claim can see is reused only after the thread that holds it has ended", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await filled(db)
  const { handle, transferList } = collection.share()
  const worker = new Worker(new URL("./claimant.ts", import.meta.url), {
    workerData: handle,
    transferList: [...transferList]
  })
  await once(worker, "message")
  assert.equal(isFree(collection), false)
  assert.ok((await churn(collection, 2000)) >= 2000 + ROWS, "slots were reused under a claim")
  await worker.terminate()
  const deadline = performance.now() + 5000
  while (!isFree(collection) && performance.now() < deadline) await setTimeout(1)
  assert.ok(isFree(collection), "the claim outlived its thread")
  const before = collection.stats().rows
  assert.equal(await churn(collection, 2000), before)
})

test("threads that end wherever they are leave no claim behind", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await filled(db)
  for (let round = 0; round < 5; round++) {
    const readers = await startReaders(2, collection, { stable: ROWS, numbers: ROWS, retrained: false })
    await churn(collection, 200)
    await setTimeout(150 + 10 * round)
    await readers.terminate()
  }
  const deadline = performance.now() + 5000
  while (!isFree(collection) && performance.now() < deadline) await setTimeout(1)
  assert.ok(isFree(collection))
  await churn(collection, 200)
  const before = collection.stats().rows
  assert.equal(await churn(collection, 2000), before)
})
