/** Pool workers are killed over and over while callers search and one writes: answers are right or typed errors. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import type { Worker } from "node:worker_threads"
import { Directory } from "../../src/core/store/directory.ts"
import { type Collection, open, type SabineError, type SearchOptions } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"
import { seconds } from "./readers.ts"
import { checkHit, DIMENSIONS, entryOf, keyOf, vectorOf } from "./self-check.ts"

const STABLE = 3000
/** Rows of each batch that comes and goes: enough to be written and searched in the pool. */
const BATCH = 4000
const CALLERS = 6
/** What a search of many queries takes, so that the pool runs it. */
const QUERIES = 256

const threads = new Set<Worker>()
process.on("worker", (worker) => {
  threads.add(worker)
  worker.once("exit", () => threads.delete(worker))
})

const isFree = (collection: Collection): boolean => {
  const directory = new Directory(collection.share().handle.memory.directory)
  const { epoch } = directory
  return directory.advance() === epoch
}

test("workers that die under searches, writes and encodings leave right answers or typed errors, and no claim", async (t) => {
  const bits = randomBits(1)
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("rows", { dimensions: DIMENSIONS, metric: "l2", index: "none" })
  await collection.addMany(Array.from({ length: STABLE }, (_, number) => entryOf(number, 0)))
  const until = performance.now() + seconds(4) * 1000
  const counts = { kills: 0, searches: 0, batches: 0, crashes: 0 }
  let over = false

  /** Whether a call succeeded; its failure is that of a worker that died twice. */
  const survives = async (call: Promise<unknown>): Promise<boolean> => {
    try {
      await call
      return true
    } catch (error) {
      assert.equal((error as SabineError)._tag, "WorkerCrashed", String(error))
      counts.crashes++
      return false
    }
  }

  const killer = async () => {
    while (performance.now() < until) {
      await setTimeout(20 + (bits() % 300))
      const victims = [...threads].filter(() => bits() % 2 === 0)
      counts.kills += victims.length
      await Promise.all(victims.map((worker) => worker.terminate()))
    }
    over = true
  }

  const MODES = ["exact", "flat", "binary"] as const
  const caller = async () => {
    while (!over) {
      const mode = MODES[bits() % MODES.length]!
      const number = bits() % STABLE
      const options: SearchOptions = { k: 1 + (bits() % 8), mode }
      await survives(
        (async () => {
          if (bits() % 4 > 0) {
            const vector = vectorOf(number, 0)
            const hits = await collection.search(vector, options)
            if (mode === "binary") return
            assert.equal(hits[0]?.key, keyOf(number))
            for (const hit of hits) checkHit(vector, hit)
            return
          }
          const numbers = Array.from({ length: QUERIES }, (_, i) => (number + i) % STABLE)
          const vectors = Float32Array.from(numbers.flatMap((number) => [...vectorOf(number, 0)]))
          const { keys } = await collection.searchMany(vectors, { ...options, mode: "exact" })
          for (const [i, number] of numbers.entries()) assert.equal(keys[i * options.k!], keyOf(number))
        })()
      )
      counts.searches++
    }
  }

  const writer = async () => {
    while (!over) {
      const entries = Array.from({ length: BATCH }, (_, i) => entryOf(STABLE + i, 0))
      const before = collection.size()
      const added = await survives(collection.addMany(entries))
      assert.equal(collection.size(), before + (added ? BATCH : 0), "a batch was written in part")
      if (!added) continue
      counts.batches++
      for (const { key } of entries) await collection.delete(key)
    }
  }

  await Promise.all([killer(), writer(), ...Array.from({ length: CALLERS }, caller)])
  t.diagnostic(JSON.stringify(counts))
  assert.ok(counts.kills > 0 && counts.searches > 0 && counts.batches > 0)
  assert.equal(collection.size(), STABLE)
  for (let number = 0; number < STABLE; number += 7) {
    const [hit] = await collection.search(vectorOf(number, 0), { k: 1, mode: "exact" })
    assert.equal(hit?.key, keyOf(number))
  }
  for (let tries = 0; !isFree(collection) && tries < 500; tries++) await setTimeout(10)
  assert.ok(isFree(collection), "a claim is left")
})
