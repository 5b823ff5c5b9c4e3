/** Codes are replaced under searches that are on their way: nobody meets codes of two encoders. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { open } from "../../src/index.ts"
import { seconds, startReaders } from "./readers.ts"
import { DIMENSIONS, entryOf, keyOf, vectorOf } from "./self-check.ts"

const FIRST = 1900
/** Beyond the 2,048 rows that training waits for. */
const LAST = 2300

test("searches in flight while codes are retrained return whole rows and find what is there", async (t) => {
  const until = performance.now() + seconds(3) * 1000
  let rounds = 0
  let checks = 0
  while (performance.now() < until) {
    await using db = await open(":memory:", { threads: 1 })
    const collection = await db.collection("rows", { dimensions: DIMENSIONS, metric: "l2" })
    const known = Array.from({ length: FIRST }, (_, number) => number)
    await collection.addMany(known.map((number) => entryOf(number, 0)))
    const readers = await startReaders(2, collection, { stable: FIRST, numbers: LAST, retrained: true })
    for (let number = FIRST; number < LAST; number++) await collection.add(entryOf(number, 0))
    while (collection.stats().encoder !== "itq" && readers.failure() === undefined) {
      const number = (rounds * 31 + checks++) % FIRST
      // Without a second stage a row's own vector is at Hamming distance 0, if both codes are of one encoder.
      const [hit] = await collection.search(vectorOf(number, 0), { k: 1, mode: "binary" })
      assert.equal(hit?.score, 1)
      // Searches in place leave no room for the thread that trains to be heard.
      await new Promise(setImmediate)
    }
    for (const report of await readers.stop()) assert.ok(report.checks > 0)
    for (let number = 0; number < LAST; number += 97) {
      const [flat] = await collection.search(vectorOf(number, 0), { k: 1 })
      assert.equal(flat?.key, keyOf(number))
      const [binary] = await collection.search(vectorOf(number, 0), { k: 1, mode: "binary" })
      assert.equal(binary?.score, 1)
    }
    rounds++
  }
  t.diagnostic(`${rounds} trainings`)
  assert.ok(rounds > 0)
})
