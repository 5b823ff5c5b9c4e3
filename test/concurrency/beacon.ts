/** A thread that looks for one entry over and over while another thread updates it, and tells how often it was not there. */
import { parentPort, workerData } from "node:worker_threads"
import { attach, type CollectionHandle } from "../../src/index.ts"

export interface BeaconTask {
  readonly handle: CollectionHandle
  readonly key: string
  readonly vector: Float32Array
  readonly searches: number
}

const { handle, key, vector, searches } = workerData as BeaconTask
const reader = attach(handle)
let missed = 0
for (let i = 0; i < searches; i++) {
  const mode = (["exact", "flat", "binary"] as const)[i % 3]!
  const hits = await reader.search(vector, { k: 1 + (i % 2), mode })
  if (hits[0]?.key !== key) missed++
}
parentPort!.postMessage(missed)
