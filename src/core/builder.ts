/** The build worker: one long-lived thread for training, behind comlink, started when first needed. */
import { Worker } from "node:worker_threads"
import * as Comlink from "comlink"
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Build } from "../workers/build.ts"
import { Closed, WorkerCrashed } from "./errors.ts"

export class Builder extends Context.Service<
  Builder,
  {
    /** Calls the build worker. Rejects with `WorkerCrashed` when it dies and with `Closed` after the end. */
    readonly call: <A>(use: (build: Comlink.Remote<Build>) => Promise<A>) => Promise<A>
  }
>()("sabine/Builder") {
  static readonly layer = Layer.effect(
    Builder,
    Effect.suspend(() => acquire)
  )
}

const workerFile = new URL(`../workers/build${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

interface Running {
  readonly worker: Worker
  readonly build: Comlink.Remote<Build>
  /** Rejects when the worker ends: a comlink call to a dead worker never settles by itself. */
  readonly ended: Promise<never>
  /** Calls in flight: they keep the process alive, an idle worker does not. */
  calls: number
}

const start = (): Running => {
  // Flags of the program are not for this thread: --input-type alone would keep it from starting.
  const worker = new Worker(workerFile, { execArgv: [] })
  worker.unref()
  const ended = new Promise<never>((_, reject) => {
    worker.once("error", (cause) => reject(new WorkerCrashed({ cause })))
    worker.once("exit", (code) => reject(new WorkerCrashed({ cause: `exit code ${code}` })))
  })
  // Only calls in flight care how the worker ended.
  ended.catch(() => undefined)
  return { worker, build: Comlink.wrap<Build>(nodeEndpoint(worker)), ended, calls: 0 }
}

const acquire = Effect.gen(function* () {
  let running: Running | undefined
  let closed = false
  yield* Effect.addFinalizer(() =>
    Effect.promise(async () => {
      closed = true
      await running?.worker.terminate()
    })
  )
  return Builder.of({
    call: async (use) => {
      if (closed) throw new Closed()
      running ??= start()
      const mine = running
      const { worker, build, ended } = mine
      if (mine.calls++ === 0) worker.ref()
      try {
        return await Promise.race([use(build), ended])
      } catch (error) {
        if (running === mine) running = undefined
        await worker.terminate()
        throw closed ? new Closed() : error instanceof WorkerCrashed ? error : new WorkerCrashed({ cause: error })
      } finally {
        if (--mine.calls === 0) worker.unref()
      }
    }
  })
})
