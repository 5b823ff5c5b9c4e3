/** How long the event loop is held while others search and one writes. */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { type Collection, open } from "../src/index.ts"
import { addBase, keysOf } from "./adding.ts"
import type { Dataset } from "./data.ts"
import type { Measured } from "./figure.ts"
import { datasets, type Setting } from "./setting.ts"

export const about = "event-loop delay while four callers search and one adds, against an idle loop"

const CALLERS = 4
const IDLE_MS = 1000
const BUSY_MS = 6000
/** Rows of each addMany, and single adds between two of them. */
const BATCH_ROWS = 2000
const SINGLES = 200

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    await using db = await open(":memory:")
    const collection = await db.collection("event-loop", { dimensions: dataset.dimensions })
    await addBase(collection, dataset)
    const idle = await delays(() => sleep(IDLE_MS))
    let searches = 0
    let adds = 0
    const busy = await delays(async () => {
      const end = performance.now() + BUSY_MS
      const callers = Array.from({ length: CALLERS }, async (_, caller) => {
        searches += await searchUntil(end, collection, dataset, caller)
      })
      const writer = async () => {
        adds += await writeUntil(end, collection, dataset)
      }
      await Promise.all([...callers, writer()])
    })
    const against = "the idle loop"
    const ratio = busy.p99 / idle.p99
    yield { case: "delay p99, idle", value: idle.p99, unit: "ms" }
    yield { case: "delay p99, four searching, one adding", value: busy.p99, unit: "ms", against, ratio, target: "5 ms" }
    yield { case: "longest delay, four searching, one adding", value: busy.max, unit: "ms" }
    yield { case: "searches meanwhile", value: (searches * 1000) / BUSY_MS, unit: "a second" }
    yield { case: "rows added meanwhile", value: (adds * 1000) / BUSY_MS, unit: "a second" }
  }
}

/** Times between two turns of a timer of one millisecond, that millisecond included. */
const delays = async (work: () => Promise<unknown>): Promise<{ readonly p99: number; readonly max: number }> => {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  await work()
  histogram.disable()
  return { p99: histogram.percentile(99) / 1e6, max: histogram.max / 1e6 }
}

const searchUntil = async (end: number, collection: Collection, { dimensions, queries }: Dataset, caller: number) => {
  const { vectors, count } = queries[0]!
  let done = 0
  for (; performance.now() < end; done++) {
    const at = ((done * CALLERS + caller) % count) * dimensions
    await collection.search(vectors.subarray(at, at + dimensions), { k: 10 })
  }
  return done
}

const writeUntil = async (
  end: number,
  collection: Collection,
  { dimensions, base, rows }: Dataset
): Promise<number> => {
  const size = Math.min(BATCH_ROWS, rows)
  let done = 0
  for (let round = 0; performance.now() < end; round++) {
    await collection.addMany({ keys: keysOf(size, `batch-${round}`), vectors: base.subarray(0, size * dimensions) })
    done += size
    for (let i = 0; i < SINGLES && performance.now() < end; i++, done++) {
      const at = (done % rows) * dimensions
      await collection.add({ key: `single-${done}`, vector: base.subarray(at, at + dimensions) })
    }
  }
  return done
}
