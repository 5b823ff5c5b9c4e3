/** A thread that searches and goes through a collection while its owner compacts it, and misses nothing that stays. */
import assert from "node:assert/strict"
import { setTimeout } from "node:timers/promises"
import { parentPort, workerData } from "node:worker_threads"
import { attach, type CollectionHandle } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"
import { BEGUN, STOP, WRITING } from "./readers.ts"
import { keyOf, vectorOf } from "./self-check.ts"

export interface CompactionReaderTask {
  readonly handle: CollectionHandle
  /** Numbers below this are always there, at version 0. */
  readonly stable: number
  readonly seed: number
  /** Whether searches run in the pool of this thread, split among its workers. */
  readonly inPool: boolean
  readonly control: Int32Array
}

export interface CompactionReaderReport {
  readonly searches: number
  readonly iterations: number
}

const { handle, stable, seed, inPool, control } = workerData as CompactionReaderTask
await using collection = attach(handle, { threads: 2 })
const bits = randomBits(seed)
const phase = () => Atomics.load(control, WRITING)
const stays = (began: number) => began % 2 === 0 && phase() === began
let searches = 0
let iterations = 0

const search = async (): Promise<void> => {
  const numbers = Array.from({ length: inPool ? 64 : 1 }, () => bits() % stable)
  const vectors = Float32Array.from(numbers.flatMap((number) => Array.from(vectorOf(number, 0))))
  const mode = (["exact", "flat", "ivf"] as const)[bits() % 3]!
  const began = phase()
  const { keys, counts } = await collection.searchMany(vectors, { k: 3, mode, rerank: 64, nprobe: 1000 })
  if (!stays(began)) return
  searches++
  for (const [i, number] of numbers.entries()) {
    assert.equal(keys[3 * i], keyOf(number), `${keyOf(number)} was not found by ${mode}`)
    // Others are deleted meanwhile: what was found and is gone before it is read takes a place all the same.
    const found = keys.slice(3 * i, 3 * i + counts[i]!)
    assert.equal(new Set(found).size, found.length, "a key came twice")
  }
}

const iterate = async (): Promise<void> => {
  const began = phase()
  const met = new Set<string>()
  for await (const { key } of collection.entries()) {
    if (stays(began)) assert.ok(!met.has(key), `${key} was met twice`)
    met.add(key)
    if (bits() % 200 === 0) await setTimeout(1)
    if (!stays(began)) return
  }
  if (!stays(began)) return
  iterations++
  for (let number = 0; number < stable; number++) {
    assert.ok(met.has(keyOf(number)), `${keyOf(number)} was not met`)
  }
}

Atomics.add(control, BEGUN, 1)
while (Atomics.load(control, STOP) === 0) {
  if (bits() % 40 === 0) await iterate()
  else await search()
}
parentPort!.postMessage({ searches, iterations } satisfies CompactionReaderReport)
