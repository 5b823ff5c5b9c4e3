/** One long-lived worker thread behind comlink, started when first needed and again after it died. */
import { Worker } from "node:worker_threads"
import * as Comlink from "comlink"
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs"
import { Closed, WorkerCrashed } from "./errors.ts"

interface Running<Api> {
  readonly worker: Worker
  readonly api: Comlink.Remote<Api>
  /**
   * Rejects calls in flight when the worker ends: a comlink call to a dead worker never settles by itself. A race against
   * one promise for all would keep something of every call until then.
   */
  readonly waiting: Set<(error: WorkerCrashed) => void>
  /** Why the worker ended; undefined while it runs. */
  ended: WorkerCrashed | undefined
  /** Calls in flight: they keep the process alive, an idle worker does not. */
  calls: number
}

export class Remote<Api> {
  readonly #file: URL
  readonly #workerData: unknown
  #running: Running<Api> | undefined
  #closed = false

  /** `name` is that of a module of `src/workers`. */
  constructor(name: string, workerData?: unknown) {
    this.#file = new URL(`../workers/${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)
    this.#workerData = workerData
  }

  /** Calls the worker. Rejects with `WorkerCrashed` when it dies and with `Closed` after the end. */
  async call<A>(use: (api: Comlink.Remote<Api>) => Promise<A>): Promise<A> {
    if (this.#closed) throw new Closed()
    this.#running ??= this.#start()
    const mine = this.#running
    const { worker } = mine
    if (mine.calls++ === 0) worker.ref()
    try {
      return await answer(mine, use)
    } catch (error) {
      if (this.#running === mine) this.#running = undefined
      await worker.terminate()
      throw this.#closed ? new Closed() : error instanceof WorkerCrashed ? error : new WorkerCrashed({ cause: error })
    } finally {
      if (--mine.calls === 0) worker.unref()
    }
  }

  /** Ends the worker: calls in flight reject with `Closed`. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running?.worker.terminate()
  }

  /** Whether the worker was started and has not died. */
  get isRunning(): boolean {
    return this.#running !== undefined
  }

  #start(): Running<Api> {
    // Flags of the program are not for this thread: --input-type alone would keep it from starting.
    const worker = new Worker(this.#file, { execArgv: [], workerData: this.#workerData })
    worker.unref()
    const running: Running<Api> = {
      worker,
      api: Comlink.wrap<Api>(nodeEndpoint(worker)),
      waiting: new Set(),
      ended: undefined,
      calls: 0
    }
    const end = (cause: unknown) => {
      running.ended ??= new WorkerCrashed({ cause })
      for (const reject of running.waiting) reject(running.ended)
    }
    worker.once("error", end)
    worker.once("exit", (code) => end(`exit code ${code}`))
    return running
  }
}

/** What a worker answers; rejects when it ends before. */
const answer = <Api, A>({ api, waiting, ended }: Running<Api>, use: (api: Comlink.Remote<Api>) => Promise<A>) =>
  new Promise<A>((resolve, reject) => {
    if (ended !== undefined) throw ended
    waiting.add(reject)
    use(api)
      .then(resolve, reject)
      .finally(() => waiting.delete(reject))
  })
