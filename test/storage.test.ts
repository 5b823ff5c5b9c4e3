/** What is done of writes while the log is flushed, and what becomes of them when the thread that flushes it dies. */
import assert from "node:assert/strict"
import { statSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { after, describe, test } from "node:test"
import type { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import { StorageFailure, WorkerCrashed } from "../src/core/errors.ts"
import { decodeFrame, encodeFrame } from "../src/core/log/frame.ts"
import { CollectionLog, Storage } from "../src/core/log/storage.ts"

const WRITES = 60
const DEATHS = 12
const TURNS = 8
/** Of one write, in milliseconds: so many as these do not fit into a turn. */
const WORK_MS = 0.4

const folder = await mkdtemp(join(tmpdir(), "sabine-storage-"))
after(() => rm(folder, { recursive: true }))

const spin = (): void => {
  for (const end = performance.now() + WORK_MS; performance.now() < end; );
}

/** Writes that wait for one flush: what came of each, the turns that their work ran in, and how many ran when the first settled. */
const written = (path: string) =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(Storage.scoped({ path, relaxed: false }), (storage) =>
        Effect.promise(async () => {
          // Its thread is there, whatever it answers.
          await storage.call((worker) => worker.check()).catch(() => undefined)
          const log = new CollectionLog(storage, "notes", { id: 1, shape: "{}", folded: 0, last: 0 })
          let turn = 0
          let isOver = false
          const count = (): void => {
            turn++
            if (!isOver) setImmediate(count)
          }
          setImmediate(count)
          const turns: Array<number> = []
          let ranBefore: number | undefined
          const outcomes = await Promise.all(
            Array.from({ length: WRITES }, async (_, i) => {
              const frame = encodeFrame({ operation: "delete", namespace: undefined, keys: [`k${i}`] })
              const outcome = await log
                .append([frame], () => {
                  spin()
                  turns.push(turn)
                })
                .catch((error) => error)
              ranBefore ??= turns.length
              return outcome
            })
          )
          isOver = true
          return { outcomes, turns, ranBefore }
        })
      )
    )
  )

describe("work of writes that wait for one flush", () => {
  test("leaves turns of the event loop to others, and is done when the first of them is", async () => {
    const { outcomes, turns, ranBefore } = await written(join(folder, "records.sqlite"))
    assert.deepEqual(new Set(outcomes), new Set([undefined]))
    assert.equal(ranBefore, WRITES)
    assert.ok(new Set(turns).size > WRITES / 10, `${turns}`)
  })

  test("is over when the log refuses them", async (t) => {
    const path = join(folder, "records.sqlite")
    const other = new DatabaseSync(path)
    t.after(() => other.close())
    other.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")
    const { outcomes, turns, ranBefore } = await written(path)
    for (const outcome of outcomes) assert.ok(outcome instanceof StorageFailure, String(outcome))
    assert.deepEqual([turns.length, ranBefore], [WRITES, WRITES])
  })
})

test("a write that a worker died over is done where the log has it, and not where it has not", async () => {
  const path = join(folder, "deaths.sqlite")
  const workers = new Set<Worker>()
  const onWorker = (worker: Worker) => void workers.add(worker)
  process.on("worker", onWorker)
  // The size need not change: there is room ahead.
  const walTime = () => statSync(`${path}-wal`, { bigint: true, throwIfNoEntry: false })?.mtimeNs ?? 0n
  const use = async (storage: Storage) => {
    const log = await storage.create("notes", "{}")
    const done: Array<number> = []
    const found: Array<number> = []
    let attempts = 0
    // As often as it takes to meet both.
    for (let i = 0; i < DEATHS || ((done.length === 0 || done.length === i) && i < 10 * DEATHS); i++) {
      attempts++
      const before = walTime()
      const die = () => {
        // Half of them while the log is being flushed.
        for (const end = performance.now() + 1000; i % 2 === 0 && walTime() === before && performance.now() < end; );
        for (const worker of workers) void worker.terminate()
        workers.clear()
      }
      const frame = encodeFrame({ operation: "delete", namespace: undefined, keys: [`${i}`] })
      const isDone = await log.append([frame], die).then(
        () => true,
        (error) => assert.ok(error instanceof WorkerCrashed, String(error))
      )
      if (isDone) done.push(i)
    }
    const { id, shape } = log
    const whole = new CollectionLog(storage, "notes", { id, shape, folded: 0, last: log.last })
    for await (const frame of whole.after(0)) found.push(Number(decodeFrame(frame).keys[0]))
    return { done, found, attempts }
  }
  const { done, found, attempts } = await Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(Storage.scoped({ path, relaxed: false }), (storage) => Effect.promise(() => use(storage)))
    )
  )
  process.off("worker", onWorker)
  assert.deepEqual(done, found)
  assert.ok(done.length > 0, "none was done")
  assert.ok(attempts > done.length, `${done}`)
})

test("the end of the log that somebody asked for before a write takes none of its numbers back", async () => {
  const use = async (storage: Storage) => {
    const log = await storage.create("notes", "{}")
    const append = (key: string) =>
      log.append([encodeFrame({ operation: "delete", namespace: undefined, keys: [key] })])
    await append("before")
    for (let turns = 0; turns < TURNS; turns++) {
      // It is not known any more, and asked for by the write and by somebody else.
      await storage.restore("checkpoint", [{ name: "notes", shape: "{}", folded: turns }])
      const written = append("first")
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      await Promise.all([written, storage.open()])
      await append("second")
    }
  }
  await Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(Storage.scoped({ path: join(folder, "asked.sqlite"), relaxed: false }), (storage) =>
        Effect.promise(() => use(storage))
      )
    )
  )
})
