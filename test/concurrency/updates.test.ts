/** An entry that is updated goes to another row: whoever searches meanwhile finds it all the same. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Worker } from "node:worker_threads"
import { type Collection, open } from "../../src/index.ts"
import type { BeaconTask } from "./beacon.ts"

const DIMENSIONS = 64
const ROWS = 60_000
const KEY = "beacon"
const BEACON = new Float32Array(DIMENSIONS).fill(1)

/** Entries far from the beacon, and free slots before all of them. */
const fill = async (collection: Collection): Promise<void> => {
  const vectors = Float32Array.from({ length: ROWS * DIMENSIONS }, (_, i) => 10 + Math.sin(i * 0.7))
  await collection.addMany({ keys: Array.from({ length: ROWS }, (_, i) => `k${i}`), vectors })
  await collection.add({ key: KEY, vector: BEACON, fields: { lit: true } })
  for (let i = 0; i < 200; i++) await collection.delete(`k${i}`)
}

/** Updates the beacon until `work` is over; how often it did. */
const updating = async (collection: Collection, work: Promise<unknown>): Promise<number> => {
  let isOver = false
  const end = work.finally(() => {
    isOver = true
  })
  let updates = 0
  while (!isOver) {
    await collection.update({ key: KEY, vector: BEACON })
    updates++
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await end
  return updates
}

const opened = async () => {
  const db = await open(":memory:", { threads: 2 })
  const options = { dimensions: DIMENSIONS, metric: "l2", index: "none", codes: "published" } as const
  const collection = await db.collection("c", { ...options, fields: { lit: "boolean" } })
  await fill(collection)
  return { db, collection }
}

describe("an entry that is updated all the time is found all the time", () => {
  for (const [name, searches, find] of [
    ["exact", 400, (c: Collection) => c.search(BEACON, { k: 3, mode: "exact" })],
    ["flat", 2000, (c: Collection) => c.search(BEACON, { k: 3, mode: "flat" })],
    ["filtered", 400, (c: Collection) => c.search(BEACON, { k: 1, mode: "flat", filter: { lit: true } })],
    ["diverse", 400, (c: Collection) => c.search(BEACON, { k: 3, mode: "flat", mmr: {} })]
  ] as const) {
    test(`by searches of pool workers: ${name}`, async () => {
      const { db, collection } = await opened()
      await using _ = db
      let missed = 0
      const caller = async () => {
        for (let i = 0; i < searches / 4; i++) if ((await find(collection))[0]?.key !== KEY) missed++
      }
      const updates = await updating(collection, Promise.all([caller(), caller(), caller(), caller()]))
      assert.ok(updates > 10, `${updates} updates`)
      assert.equal(missed, 0)
    })
  }

  test("by batches of pool workers", async () => {
    const { db, collection } = await opened()
    await using _ = db
    const queries = new Float32Array(300 * DIMENSIONS).fill(1)
    let missed = 0
    const search = async () => {
      for (let i = 0; i < 8; i++) {
        const { keys } = await collection.searchMany(queries, { k: 2, mode: "exact" })
        for (let query = 0; query < 300; query++) if (keys[2 * query] !== KEY) missed++
      }
    }
    const updates = await updating(collection, search())
    assert.ok(updates > 10, `${updates} updates`)
    assert.equal(missed, 0)
  })

  test("by searches of another thread", async () => {
    const { db, collection } = await opened()
    await using _ = db
    const { handle, transferList } = collection.share()
    const task: BeaconTask = { handle, key: KEY, vector: BEACON, searches: 9000 }
    const worker = new Worker(new URL("./beacon.ts", import.meta.url), {
      workerData: task,
      transferList: [...transferList]
    })
    const missed = new Promise<number>((resolve, reject) => {
      worker.once("message", resolve)
      worker.once("error", reject)
    })
    const updates = await updating(collection, missed)
    assert.ok(updates > 10, `${updates} updates`)
    assert.equal(await missed, 0)
  })
})
