/** One thread of `recall-stress.ts`: it adds its share of the items and retrieves in between. */
import { once } from "node:events"
import { parentPort, workerData } from "node:worker_threads"
import { attach } from "../../src/index.ts"
import { type Asked, isScore, itemOf, vectorOf } from "./recall-stress-items.ts"

const BATCH = 50

const port = parentPort!
const { handle, thread, threads, count } = workerData
const items = attach(handle)
let [found, torn] = [0, 0]

const ask = async (asked: Asked): Promise<void> => {
  port.postMessage(asked)
  await once(port, "message")
}

port.postMessage("ready")
await once(port, "message")
const first = Math.floor((count * thread) / threads)
const end = Math.floor((count * (thread + 1)) / threads)
for (let from = first; from < end; from += BATCH) {
  const to = Math.min(end, from + BATCH)
  await ask({ kind: "add", items: Array.from({ length: to - from }, (_, i) => itemOf(from + i)) })
  const number = from + ((from * 7919) % (to - from))
  await ask({ kind: "similar", number })
  for (const { key, score } of await items.search(vectorOf(number), { k: 10 })) {
    found++
    if (!isScore(number, key, score)) torn++
  }
}
await items.close()
port.postMessage({ found, torn })
