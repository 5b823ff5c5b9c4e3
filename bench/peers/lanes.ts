/**
 * Two threads for peers that search one query at a time on the thread that asks: each opens the index for itself,
 * so what they hold in memory they hold twice.
 */
import { Worker } from "node:worker_threads"
import type { LaneAnswer, LaneRequest, LaneStart } from "./lane.ts"
import type { Setting } from "./peer.ts"

const COUNT = 2

interface Lanes {
  readonly tune: (setting: Setting) => Promise<void>
  /** Queries a second of all lanes together. */
  readonly rate: (queries: string, turnMs: number) => Promise<number>
  readonly close: () => Promise<void>
}

export const openLanes = async (start: LaneStart): Promise<Lanes> => {
  const workers = Array.from(
    { length: COUNT },
    () => new Worker(new URL("./lane.ts", import.meta.url), { workerData: start })
  )
  const answer = (worker: Worker) =>
    new Promise<LaneAnswer>((resolve, reject) => {
      worker.once("error", reject)
      worker.once("message", (message: LaneAnswer) => {
        worker.off("error", reject)
        resolve(message)
      })
    })
  const ask = (request: LaneRequest): Promise<ReadonlyArray<LaneAnswer>> =>
    Promise.all(
      workers.map((worker) => {
        const answered = answer(worker)
        worker.postMessage(request)
        return answered
      })
    )
  await Promise.all(workers.map(answer))
  return {
    tune: async (setting) => {
      await ask({ setting })
    },
    rate: async (queries, turnMs) => (await ask({ queries, turnMs })).reduce((sum, { qps }) => sum + qps, 0),
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()))
    }
  }
}
