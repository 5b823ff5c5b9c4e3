/** What a training tells of its progress, and what that costs the thread that hears it. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setImmediate as turn } from "node:timers/promises"
import { open } from "../src/index.ts"
import { program } from "./programs.ts"
import { randomVectors } from "./property/kernels/random.ts"

const DIMENSIONS = 16

test("a first batch has Node load nothing that holds the event loop up", async () => {
  const loaded = await program(`
    import { open } from SABINE
    const db = await open(":memory:", { threads: 1 })
    const collection = await db.collection("c", { dimensions: ${DIMENSIONS} })
    const vectors = Float32Array.from({ length: 3000 * ${DIMENSIONS} }, Math.random)
    await collection.addMany({ keys: Array.from({ length: 3000 }, (_, i) => "k" + i), vectors })
    console.log(collection.stats().encoder, process.moduleLoadList.filter((name) => name.includes("undici")))
    await db.close()`)
  assert.equal(loaded.trim(), "itq []")
})

test("a callback that fails takes nothing with it, and is told to the end", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("c", { dimensions: DIMENSIONS })
  const told: Array<number> = []
  const onProgress = (fraction: number) => {
    told.push(fraction)
    throw new Error("of the caller")
  }
  await collection.train(randomVectors(1, 3000 * DIMENSIONS), { onProgress })
  await collection.train(randomVectors(2, 3000 * DIMENSIONS), { onProgress })
  await turn()
  assert.equal(told.filter((fraction) => fraction === 1).length, 2, `${told}`)
})
