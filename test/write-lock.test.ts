/** Writes wait in line: never two where one must be alone, none forgotten, however many and whoever gives up. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setImmediate, setTimeout } from "node:timers/promises"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { KeyTurns, WriteLock } from "../src/core/collection/write-lock.ts"
import { direct, type Start } from "../src/core/lift.ts"
import { leftInTurn } from "../src/core/turn.ts"
import { randomBytes } from "./property/kernels/random.ts"

/** What runs an effect to its end. */
const startOf =
  <A>(effect: Effect.Effect<A>): Start<A> =>
  (done, fail) => {
    Effect.runPromise(effect).then(done, fail)
    return undefined
  }

/** More than calls can be inside one another. */
const MANY = 20_000

test("writes that wait for nothing follow one another in order, however many", async () => {
  const lock = new WriteLock()
  const turns = new KeyTurns()
  for (const guard of [
    lock.exclusively,
    <A>(effect: Effect.Effect<A>) => direct(turns.run(["k"], startOf(effect)))
  ] as const) {
    const done: Array<number> = []
    const first = Effect.runPromise(guard(Effect.promise(() => setTimeout(5))))
    const rest = Array.from({ length: MANY }, (_, i) => Effect.runPromise(guard(Effect.sync(() => done.push(i)))))
    await Promise.all([first, ...rest])
    assert.deepEqual(
      done,
      Array.from({ length: MANY }, (_, i) => i)
    )
  }
})

test("who comes while those that waited are let in goes on behind them", async () => {
  const lock = new WriteLock()
  const turns = new KeyTurns()
  const done: Array<string> = []
  const write = (name: string) =>
    Effect.runPromise(direct(lock.together(turns.run(["k"], startOf(Effect.sync(() => done.push(name)))))))
  const batch = Promise.withResolvers<void>()
  const alone = Effect.runPromise(lock.exclusively(Effect.promise(() => batch.promise)))
  const first = write("first")
  batch.resolve()
  // This turn is full, so that who waited is let in with the next.
  for (const began = performance.now(); leftInTurn() > 0 || performance.now() - began < 2; );
  for (let ticks = 0; ticks < 100; ticks++) await undefined
  assert.deepEqual(done, [])
  await Promise.all([alone, first, write("second")])
  assert.deepEqual(done, ["first", "second"])
})

test("single writes are waited for, also those that wait, and nobody else", async () => {
  const lock = new WriteLock()
  const longer = Promise.withResolvers<void>()
  const batch = Effect.runPromise(lock.exclusively(Effect.promise(() => longer.promise)))
  await Effect.runPromise(lock.singlesDone)
  const done: Array<string> = []
  const write = (name: string) => startOf(Effect.promise(async () => done.push(await setTimeout(2, name))))
  for (const name of ["first", "second"]) Effect.runFork(direct(lock.together(write(name))))
  const over = Effect.runPromise(lock.singlesDone)
  longer.resolve()
  await over
  assert.deepEqual(done, ["first", "second"])
  const stopped = Promise.withResolvers<void>()
  const next = Effect.runPromise(lock.exclusively(Effect.promise(() => stopped.promise)))
  const fiber = Effect.runFork(direct(lock.together(write("given up"))))
  await Effect.runPromise(Fiber.interrupt(fiber))
  await Effect.runPromise(lock.singlesDone)
  stopped.resolve()
  await Promise.all([batch, next])
  assert.deepEqual(done, ["first", "second"])
})

test("one that gives up at any moment leaves the line to the others", async () => {
  const lock = new WriteLock()
  let alone = 0
  let together = 0
  let interrupted = 0
  const bytes = randomBytes(7, 3000)
  const fibers = Array.from({ length: 1000 }, (_, i) => {
    const [kind = 0, length = 0, patience = 0] = bytes.subarray(3 * i)
    const isAlone = kind < 64
    const work = Effect.gen(function* () {
      if (isAlone) alone++
      else together++
      assert.ok(alone === 0 || (alone === 1 && together === 0), `${alone} alone, ${together} together`)
      if (length % 3 > 0) yield* Effect.promise(() => (length % 3 === 1 ? setImmediate() : Promise.resolve()))
      if (isAlone) alone--
      else together--
    })
    const fiber = Effect.runFork(
      isAlone ? lock.exclusively(Effect.uninterruptible(work)) : direct(lock.together(startOf(work)))
    )
    if (patience < 128) {
      const giveUp = async () => {
        for (let turn = 0; turn < patience % 16; turn++) await (patience % 2 === 0 ? setImmediate() : undefined)
        interrupted++
        await Effect.runPromise(Fiber.interrupt(fiber))
      }
      return giveUp()
    }
    return Effect.runPromise(Fiber.await(fiber))
  })
  await Promise.all(fibers)
  assert.ok(interrupted > 300)
  assert.equal(await Effect.runPromise(lock.exclusively(Effect.succeed("free"))), "free")
})

test("writes of many keys go on when each of them is free, in the order they came, and never wait for one another", async () => {
  const turns = new KeyTurns()
  const started: Array<string> = []
  const ends = new Map<string, () => void>()
  const write = (name: string, keys: ReadonlyArray<string>) =>
    Effect.runPromise(
      direct<void>(
        turns.run(keys, (done) => {
          started.push(name)
          ends.set(name, done)
          return undefined
        })
      )
    )
  const all = [write("a", ["x"]), write("b", ["x", "y"]), write("c", ["y", "x"]), write("d", ["z"]), write("e", ["y"])]
  for (const [ended, running] of [
    ["d", "ad"],
    ["a", "adb"],
    ["b", "adbc"],
    ["c", "adbce"],
    ["e", "adbce"]
  ] as const) {
    ends.get(ended)!()
    await setImmediate()
    assert.equal(started.join(""), running)
  }
  await Promise.all(all)
})
