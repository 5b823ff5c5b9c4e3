/** A thread that reads an attached collection until it is told to stop, and checks all it reads. */
import assert from "node:assert/strict"
import { parentPort, workerData } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { makeReading } from "../../src/core/collection/reading.ts"
import { kernels } from "../../src/core/native.ts"
import { ScanCost } from "../../src/core/search/cost.ts"
import { Dispatcher } from "../../src/core/search/dispatch.ts"
import { AttachedMemory } from "../../src/core/store/attach.ts"
import { notAfter } from "../../src/core/store/directory.ts"
import type { CollectionHandle } from "../../src/index.ts"
import { randomBits } from "../property/kernels/random.ts"
import { BEGUN, LOOKUPS, STOP } from "./readers.ts"
import { checkBinaryHit, checkEntry, checkHit, codeOf, keyOf, vectorOf } from "./self-check.ts"

export interface ReaderTask {
  readonly handle: CollectionHandle
  readonly seed: number
  /** Numbers below this are updated but never deleted: a lookup must always find them. */
  readonly stable: number
  /** Numbers below this may exist. */
  readonly numbers: number
  /** Whether codes are replaced meanwhile, so that their bits cannot be foretold. */
  readonly retrained: boolean
  readonly control: Int32Array
}

export interface ReaderReport {
  /** Entries and hits that were checked. */
  readonly checks: number
  readonly searches: number
  readonly lookups: number
}

const { handle, seed, stable, numbers, retrained, control } = workerData as ReaderTask
const memory = new AttachedMemory(kernels, handle.memory, handle.reader, handle.port)
/** Every scan runs in place, however long it is: nothing here waits for other threads. */
class InPlace extends ScanCost {
  override microseconds(): number {
    return 0
  }
}

const cost = new InPlace([0, 0, 0])
const dispatcher = new Dispatcher({ threads: 1, run: () => Promise.reject(new Error("no pool here")) })
const reading = makeReading(handle.name, { memory, cost, dispatcher }, () => Promise.reject(new Error("no texts here")))
const bits = randomBits(seed)

let checks = 0
let searches = 0
let lookups = 0
/** Newest version of each number that a lookup returned. */
const newest = new Uint32Array(numbers)
let epoch = memory.directory.epoch

const lookUp = (number: number): void => {
  lookups++
  const entry = Effect.runSync(reading.get(keyOf(number)))
  if (entry === undefined) {
    if (number < stable) assert.fail(`${keyOf(number)} was never deleted and not found`)
    return
  }
  checks++
  const mark = checkEntry(number, entry)
  if (mark.payload < newest[number]!) assert.fail(`${entry.key}: version ${mark.payload} after ${newest[number]}`)
  newest[number] = mark.payload
}

const MODES = ["auto", "exact", "flat", "binary", "ivf", "hnsw"] as const

/** Now and then the query is a row that is there, so that reading finds what writing changes. */
const query = (): Float32Array => {
  const number = bits() % numbers
  return vectorOf(number, newest[number]!)
}

const search = async (): Promise<void> => {
  searches++
  const mode = MODES[bits() % MODES.length]!
  const vector = query()
  const hits = await Effect.runPromise(reading.search(vector, { k: 1 + (bits() % 16), mode }))
  if (mode !== "binary") for (const hit of hits) checkHit(vector, hit)
  else if (!retrained) {
    const { encoder } = memory.columns
    const code = codeOf(vector, encoder)
    for (const hit of hits) checkBinaryHit(code, hit, encoder)
  }
  assert.equal(new Set(hits.map(({ key }) => key)).size, hits.length, "a key came twice")
  checks += hits.length
}

const checkEpoch = (): void => {
  const now = memory.directory.epoch
  assert.ok(notAfter(epoch, now), `epoch ${now} came after ${epoch}`)
  epoch = now
}

Atomics.add(control, BEGUN, 1)
while (Atomics.load(control, STOP) === 0) {
  for (let i = 0; i < 100; i++) lookUp(i % 2 === 0 ? bits() % stable : bits() % numbers)
  Atomics.add(control, LOOKUPS, 100)
  await search()
  checkEpoch()
}
parentPort!.postMessage({ checks, searches, lookups } satisfies ReaderReport)
