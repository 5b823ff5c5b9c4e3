/** Reader threads of a test: started together, stopped together. */
import { setTimeout } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import type { Collection } from "../../src/index.ts"
import type { ReaderReport, ReaderTask } from "./reader.ts"

/** Words of the control array: the readers stop when the first is set, and count themselves in the second. */
export const STOP = 0
export const BEGUN = 1
/** A word more where entries that stay are written at times, which may hide them: odd meanwhile. */
export const WRITING = 2
/** Look-ups that all readers made so far. */
export const LOOKUPS = 3

const file = new URL("./reader.ts", import.meta.url)

/** Long runs are for a machine that has the time: `SABINE_LONG=1`. */
export const LENGTH = process.env["SABINE_LONG"] === "1" ? 30 : 1
export const seconds = (usual: number): number => LENGTH * usual

export interface Readers {
  /** The first failure of any reader, until then undefined. */
  readonly failure: () => unknown
  /** Look-ups that all of them made so far. */
  readonly lookups: () => number
  /** Stops the readers and returns what they did; rejects with the first failure. */
  readonly stop: () => Promise<ReadonlyArray<ReaderReport>>
  /** Ends the threads wherever they are. */
  readonly terminate: () => Promise<void>
}

/** Starts readers and waits until each has begun to read. */
export const startReaders = async (
  count: number,
  collection: Collection,
  options: Pick<ReaderTask, "stable" | "numbers" | "retrained">
): Promise<Readers> => {
  const control = new Int32Array(new SharedArrayBuffer(16))
  let failure: unknown
  const workers: Array<Worker> = []
  const reports = Array.from({ length: count }, (_, i) => {
    const { handle, transferList } = collection.share()
    const task: ReaderTask = { ...options, handle, seed: i + 1, control }
    const worker = new Worker(file, { workerData: task, transferList: [...transferList] })
    workers.push(worker)
    return new Promise<ReaderReport>((resolve, reject) => {
      worker.once("message", resolve)
      worker.once("error", (error) => {
        failure ??= error
        reject(error)
      })
      worker.once("exit", (code) => reject(new Error(`a reader ended with code ${code}`)))
    })
  })
  const all = Promise.all(reports)
  // Waited for by `stop`, which may come later than the failure.
  all.catch(() => undefined)
  while (Atomics.load(control, BEGUN) < count && failure === undefined) await setTimeout(1)
  return {
    failure: () => failure,
    lookups: () => Atomics.load(control, LOOKUPS),
    stop: () => {
      Atomics.store(control, STOP, 1)
      return all
    },
    terminate: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()))
    }
  }
}
