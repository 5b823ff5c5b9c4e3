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
     * once when its worker dies. Rejects with `WorkerCrashed` or `Closed`. A patient task waits until fewer of its kind
     * than there are workers have been sent, so that others never wait for more than one of them a worker.
     */
    readonly run: <A>(name: string, task: object, isPatient?: boolean) => Promise<A>
  }
>()("sabine/Pool") {
  static readonly layer = (threads: number) => Layer.effect(Pool, acquire(threads))
}

const MAX_THREADS = 256
/** Workers of each thread that may die in a row before they come up. */
const MAX_DEATHS_A_THREAD = 4

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
    /** Tasks that have not been answered. */
    let pending = 0
    /** Workers that died since the last one came up. */
    let deaths = 0
    /** Settles when the workers of rejected tasks have ended: they work on until then. */
    let ended: Promise<void> | undefined
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
      started.on("workerCreate", () => {
        deaths = 0
      })
      // Once a worker has died before it was ready, piscina starts none for tasks that wait already, only for new ones.
      started.on("workerDestroy", () => {
        if (++deaths <= MAX_DEATHS_A_THREAD * threads) setImmediate(wake)
        else setImmediate(giveUp)
      })
      return started
    }
    const wake = () => {
      if (pending > 0 && !closed) piscina?.run(undefined, { name: "wake" }).catch(() => undefined)
    }
    /** Rejects every task: threads cannot be started any more. */
    const giveUp = () => {
      deaths = 0
      if (!closed) ended = piscina?.destroy()
    }
    const send = async <A>(name: string, task: object): Promise<A> => {
      if (closed) throw new Closed()
      piscina ??= start()
      pending++
      try {
        return await piscina.run(task, { name })
      } catch (error) {
        await ended
        throw error
      } finally {
        pending--
      }
    }
    const sendTwice = <A>(name: string, task: object): Promise<A> =>
      send<A>(name, task)
        .catch(() => send<A>(name, task))
        .catch((cause) => {
          throw closed ? new Closed() : new WorkerCrashed({ cause })
        })
    let patient = 0
    const line: Array<() => void> = []
    const sendInLine = async <A>(name: string, task: object): Promise<A> => {
      if (patient < threads) patient++
      else await new Promise<void>((go) => line.push(go))
      try {
        return await sendTwice(name, task)
      } finally {
        const next = line.shift()
        if (next === undefined) patient--
        else next()
      }
    }
    return Pool.of({
      threads,
      run: (name, task, isPatient = false) => (isPatient ? sendInLine(name, task) : sendTwice(name, task))
    })
  })

/**
 * Runs a task without its memory first: nearly always a worker has seen it. What callers wait for is urgent; writes,
 * encodings and measurements leave room for it.
 */
export const runOnMemory = async <A>(
  pool: Pool["Service"],
  name: string,
  task: object,
  memory: MemoryHandle,
  isUrgent = false
): Promise<A> => {
  const named = { ...task, id: memory.id, growth: memory.growth }
  for (let known = true; ; known = false) {
    const reply = await pool.run<Reply<A>>(name, known ? named : { ...named, memory }, !isUrgent)
    if (!reply.stale) return reply.value
  }
}
