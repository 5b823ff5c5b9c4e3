/** Worker threads for long scans, bulk writes and embedding: piscina as a scoped service. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FixedQueue, Piscina } from "piscina"
import { wholeNumber } from "./checked.ts"
import { Closed, WorkerCrashed } from "./errors.ts"
import { attempt } from "./lift.ts"
import type { Reply } from "./search/task.ts"
import type { MemoryHandle } from "./store/memory.ts"

export class Pool extends Context.Service<
  Pool,
  {
    /** Worker threads, started by the first `run`. */
    readonly threads: number
    /**
     * Runs an export of `src/workers/scan.ts`. A task must be safe to run twice: it is sent again
     * once when its worker dies. Rejects with `WorkerCrashed` or `Closed`.
     */
    readonly run: <A>(name: string, task: object) => Promise<A>
  }
>()("sabine/Pool") {
  static readonly layer = (threads: number) => Layer.effect(Pool, acquire(threads))
}

const MAX_THREADS = 256

const workerFile = new URL(`../workers/scan${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

const acquire = (threads: number) =>
  Effect.gen(function* () {
    yield* attempt(() => wholeNumber("threads", threads, 1, MAX_THREADS))
    let piscina: Piscina | undefined
    // Piscina starts workers again on a run after destroy, so the end is ours to remember.
    let closed = false
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        const started = piscina
        return started === undefined ? Effect.void : Effect.promise(() => started.destroy())
      })
    )
    const start = () => {
      const started = new Piscina({
        filename: workerFile.href,
        // Flags of the program are not for these threads: --input-type alone would keep them from starting.
        execArgv: [],
        minThreads: threads,
        maxThreads: threads,
        idleTimeout: Number.POSITIVE_INFINITY,
        atomics: "sync",
        taskQueue: new FixedQueue(),
        recordTiming: false
      })
      // An idle worker that dies is replaced; without a listener its end would be ours as well.
      started.on("error", () => undefined)
      return started
    }
    const send = async <A>(name: string, task: object): Promise<A> => {
      if (closed) throw new Closed()
      piscina ??= start()
      return piscina.run(task, { name })
    }
    return Pool.of({
      threads,
      run: <A>(name: string, task: object) =>
        send<A>(name, task)
          .catch(() => send<A>(name, task))
          .catch((cause) => {
            throw closed ? new Closed() : new WorkerCrashed({ cause })
          })
    })
  })

/** Runs a task without its memory first: nearly always a worker has seen it. */
export const runOnMemory = async <A>(
  pool: Pool["Service"],
  name: string,
  task: object,
  memory: MemoryHandle
): Promise<A> => {
  const named = { ...task, id: memory.id, growth: memory.growth }
  for (let known = true; ; known = false) {
    const reply = await pool.run<Reply<A>>(name, known ? named : { ...named, memory })
    if (!reply.stale) return reply.value
  }
}
