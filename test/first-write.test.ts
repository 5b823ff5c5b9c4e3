/** The first write of a collection, which waits for the encoder that is made for it: taken back, or failing, alone. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { test } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Collection, Database } from "../src/effect.ts"
import { open, type SabineError } from "../src/index.ts"

/** No two tests have the same: an encoder that was made before takes no worker. */
let dimensions = 17
const entry = (key: string) => ({ key, vector: new Float32Array(dimensions).fill(1) })

/** Uses a collection of the door of Effects that has no encoder yet. */
const inNew = <E>(use: (notes: Collection) => Effect.Effect<void, E>): Promise<void> => {
  dimensions++
  return Effect.runPromise(
    Effect.gen(function* () {
      const database = yield* Database
      yield* use(yield* database.collection("notes", { dimensions }))
    }).pipe(Effect.provide(Database.layer(":memory:")))
  )
}

/** Starts a write and waits until the worker starts that makes its encoder. */
const startedWith = Effect.fnUntraced(function* <A, E>(write: Effect.Effect<A, E>) {
  const worker = once(process, "worker")
  const fiber = yield* Effect.forkChild(write, { startImmediately: true })
  yield* Effect.promise(() => worker)
  return fiber
})

test("one that waits behind a batch can be taken back", () =>
  inNew(
    Effect.fnUntraced(function* (notes) {
      const batch = yield* startedWith(notes.addMany([entry("batch")]))
      const first = yield* Effect.forkChild(notes.add(entry("first")), { startImmediately: true })
      yield* Fiber.interrupt(first)
      yield* Fiber.join(batch)
      yield* notes.add(entry("later"))
      assert.equal(yield* notes.has("first"), false)
      assert.equal(notes.size(), 2)
    })
  ))

test("an interruption waits for one that has begun", () =>
  inNew(
    Effect.fnUntraced(function* (notes) {
      yield* Fiber.interrupt(yield* startedWith(notes.add(entry("first"))))
      assert.equal(yield* notes.has("first"), true)
    })
  ))

test("of those that come before there is an encoder, the one fails whose worker dies", async () => {
  dimensions++
  await using db = await open(":memory:")
  const notes = await db.collection("notes", { dimensions })
  process.once("worker", (worker) => void worker.terminate())
  const [first, ...others] = await Promise.allSettled(["a", "b", "c"].map((key) => notes.add(entry(key))))
  assert.equal(first?.status === "rejected" && (first.reason as SabineError)._tag, "WorkerCrashed")
  assert.deepEqual(
    others.map(({ status }) => status),
    ["fulfilled", "fulfilled"]
  )
})
