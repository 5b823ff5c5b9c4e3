/** A thread that claims an epoch, as a search does, and never comes back from it. */
import { parentPort, workerData } from "node:worker_threads"
import { kernels } from "../../src/core/native.ts"
import { AttachedMemory } from "../../src/core/store/attach.ts"
import { claimEpoch } from "../../src/core/store/searchable.ts"
import type { CollectionHandle } from "../../src/index.ts"

const { memory, reader, port } = workerData as CollectionHandle
claimEpoch(new AttachedMemory(kernels, memory, reader, port))
parentPort!.postMessage("claimed")
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
