/** Where searches run and when: what shares a pass, what waits, and what is taken out of the queue again. */
import assert from "node:assert/strict"
import { beforeEach, describe, test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Cancelled, Closed, DeadlineExceeded, InvalidParameter, Overloaded } from "../src/core/errors.ts"
import { direct } from "../src/core/lift.ts"
import { kernels } from "../src/core/native.ts"
import { Call } from "../src/core/search/call.ts"
import { Dispatcher } from "../src/core/search/dispatch.ts"
import type { Store } from "../src/core/store/store.ts"
import { begin, FixedCost, type Held, heldPool, isFree, type Outcome, requestOf } from "./dispatching.ts"
import { randomVectors } from "./property/kernels/random.ts"
import { newStore, put } from "./stores.ts"

const DIMENSIONS = 3
const THREADS = 2
const SHORT = new FixedCost(100)
const LONG = new FixedCost(1000)
/** Four milliseconds for one pass, and a worker is given two of them. */
const SHORT_PASSES = new FixedCost(500)
const query = randomVectors(1, DIMENSIONS)
const turn = () => new Promise(setImmediate)

let store: Store
let held: Array<Held>
let dispatcher: Dispatcher
const fresh = (maxQueue?: number) => {
  store = newStore(kernels, { dimensions: DIMENSIONS, metric: "dot", precision: "f32" })
  put(
    store,
    Array.from({ length: 200 }, (_, i) => `k${i}`),
    1
  )
  const made = heldPool(THREADS, [store])
  held = made.held
  dispatcher = new Dispatcher(made.pool, maxQueue)
}
beforeEach(() => fresh())

/** Puts a small store in place whose searches take so long; returns how many there were. */
const slowStore = (holdMs: number): (() => number) => {
  let runs = 0
  const slow = {
    ...kernels,
    search: (...args: Parameters<typeof kernels.search>) => {
      runs++
      for (const end = performance.now() + holdMs; performance.now() < end; );
      return kernels.search(...args)
    }
  }
  store = newStore(slow, { dimensions: DIMENSIONS, metric: "dot", precision: "f32" })
  put(store, ["a"], 1)
  return () => runs
}

const search = (cost = LONG, k = 5, limits = {}, queries = query): Outcome =>
  begin(dispatcher, store, cost, queries, { k, mode: "exact" }, limits)

/** Queries of each task that a worker has. */
const sizes = () => held.map(({ task }) => task.queries.length / DIMENSIONS)

const finishAll = async (outcomes: ReadonlyArray<Outcome>) => {
  while (outcomes.some(({ told }) => told === 0)) {
    held[0]?.finish()
    await turn()
  }
}

describe("what runs together", () => {
  test("a short search alone runs in place, a long one at once on every worker", () => {
    assert.equal(search(SHORT).told, 1)
    search(LONG)
    assert.deepEqual(sizes(), [1, 1])
    const [first, second] = held.map(({ task }) => task.plan)
    assert.equal(first!.toBlock, second!.fromBlock)
  })

  test("a search whose candidates would take long to merge is sent whole, with its hits alone", () => {
    const flat = (k: number) => begin(dispatcher, store, LONG, query, { k, mode: "flat" })
    flat(1000)
    assert.deepEqual([sizes(), held[0]!.task.plan.keep], [[1], 1000])
    fresh()
    flat(100)
    assert.deepEqual([sizes(), held[0]!.task.plan.keep], [[1, 1], 1000])
  })

  test("searches that find every worker busy are sent together, eight at most", async () => {
    const first = search()
    const others = Array.from({ length: 20 }, () => search())
    assert.deepEqual(sizes(), [1, 1])
    held[0]!.finish()
    held[0]!.finish()
    await turn()
    await turn()
    assert.equal(first.told, 1)
    assert.deepEqual(sizes(), [8, 8])
    await finishAll(others)
    for (const { found } of others) assert.deepEqual(found, first.found)
  })

  test("searches that want different things are not sent together", async () => {
    const all = [search()]
    for (let i = 0; i < 4; i++) all.push(search(LONG, 5), search(LONG, 6))
    held[0]!.finish()
    held[0]!.finish()
    await turn()
    await turn()
    assert.deepEqual(sizes(), [4, 4])
    assert.deepEqual(held.map(({ task }) => task.plan.keep).sort(), [5, 6])
    await finishAll(all)
  })

  test("a batch is sent in parts, in turn with single searches", async () => {
    const batch = search(LONG, 5, {}, randomVectors(2, 64 * DIMENSIONS))
    const single = search()
    held[0]!.finish()
    await turn()
    await turn()
    assert.deepEqual(sizes(), [8, 1])
    await finishAll([batch, single])
  })

  test("a batch that nobody waits beside is sent in longer parts, shorter towards its end", async () => {
    const oneMore = async () => {
      held[0]!.finish()
      await turn()
      await turn()
    }
    const batch = () => search(SHORT_PASSES, 5, {}, randomVectors(2, 72 * DIMENSIONS))
    const alone = batch()
    assert.deepEqual(sizes(), [16, 16])
    await oneMore()
    assert.deepEqual(sizes(), [16, 16])
    await oneMore()
    assert.deepEqual(sizes(), [16, 8])
    await finishAll([alone])
    const two = [batch(), batch()]
    assert.deepEqual(sizes(), [16, 16])
    await oneMore()
    assert.deepEqual(sizes(), [16, 8])
    await finishAll(two)
  })

  test("the next part of a batch is sent before the hits of the last are read", async () => {
    const outcome: Outcome = { told: 0, stop: async () => undefined }
    const request = requestOf(store, LONG, randomVectors(2, 32 * DIMENSIONS), { k: 5, mode: "exact" }, outcome)
    const sent: Array<number> = []
    dispatcher.start({
      ...request,
      reader: (query) => {
        sent.push(held.length)
        return request.reader(query)
      }
    })
    assert.deepEqual(sizes(), [8, 8])
    held[0]!.finish()
    await turn()
    assert.deepEqual(sent, Array(8).fill(2))
    await finishAll([outcome])
  })
})

describe("what waits", () => {
  test("as many searches as maxQueue: the next is refused, and nothing else", async () => {
    fresh(3)
    const all = Array.from({ length: 4 }, () => search())
    const refused = search()
    assert.ok(refused.error instanceof Overloaded)
    assert.equal(refused.error.limit, 3)
    await finishAll(all)
    for (const { error } of all) assert.equal(error, undefined)
    assert.ok(isFree(store))
    for (const wrong of [0, 1.5, 2e6])
      assert.throws(() => new Dispatcher(heldPool(1, []).pool, wrong), InvalidParameter)
  })

  test("no claim is held for what waits", async () => {
    const all = Array.from({ length: 2000 }, () => search())
    await finishAll(all)
    for (const { error } of all) assert.equal(error, undefined)
  })

  test("a turn of the event loop is shared: short searches of one tick run over many", async () => {
    const HOLD_MS = 0.25
    const runs = slowStore(HOLD_MS)
    dispatcher = new Dispatcher({ ...heldPool(1, []).pool, threads: 0 })
    await turn()
    const all = Array.from({ length: 40 }, () => search(new FixedCost(HOLD_MS * 1000)))
    let most = runs()
    while (all.some(({ told }) => told === 0)) {
      const before = runs()
      await turn()
      most = Math.max(most, runs() - before)
    }
    assert.ok(most >= 1 && most <= 1 / HOLD_MS, `${most} searches in one turn`)
  })

  test("searches that turn out short while they wait run in place, over as many turns as they need", async () => {
    slowStore(0.9)
    const { pool, held } = heldPool(THREADS, [store])
    dispatcher = new Dispatcher(pool)
    const cost = new FixedCost(1000)
    const all = [5, 6, 7].map((k) => search(cost, k))
    cost.us = 140
    held[0]!.finish()
    held[0]!.finish()
    while (all.some(({ told }) => told === 0)) await turn()
    assert.equal(held.length, 0)
  })

  test("reading many hits leaves room for others on the event loop", async () => {
    const HOLD_MS = 0.02
    let taken = 0
    const outcome: Outcome = { told: 0, stop: async () => undefined }
    const request = requestOf(store, LONG, randomVectors(2, 8 * DIMENSIONS), { k: 100, mode: "exact" }, outcome)
    dispatcher.start({
      ...request,
      reader: (query) => {
        const reader = request.reader(query)
        return {
          ...reader,
          take: (hits, i) => {
            taken++
            for (const end = performance.now() + HOLD_MS; performance.now() < end; );
            reader.take(hits, i)
          }
        }
      }
    })
    held[0]!.finish()
    held[0]!.finish()
    let most = 0
    while (outcome.told === 0) {
      const before = taken
      await turn()
      most = Math.max(most, taken - before)
    }
    assert.equal(taken, 800)
    assert.ok(most <= 1 / HOLD_MS + 40, `${most} hits in one turn`)
  })
})

describe("what is given up", () => {
  test("a search that waits leaves the queue at its deadline, and one that runs is stopped", async () => {
    const running = search(LONG, 5, { timeout: 1 })
    const waiting = search(LONG, 5, { timeout: 1 })
    const patient = search(LONG, 5)
    while (!held.every((task) => task.isCancelled())) await setTimeout(1)
    assert.ok(waiting.error instanceof DeadlineExceeded)
    assert.deepEqual([waiting.error.ms, waiting.error.status, waiting.error.retryable], [1, 504, true])
    assert.equal(running.told, 0, "told before its work had ended")
    held[0]!.finish()
    held[0]!.finish()
    await turn()
    await turn()
    assert.ok(running.error instanceof DeadlineExceeded)
    assert.deepEqual(sizes(), [1, 1])
    await finishAll([patient])
    assert.notEqual(patient.found, undefined)
    assert.ok(isFree(store))
  })

  test("a caller that cancels leaves the others of its pass alone; when all have, it is stopped", async () => {
    const first = search()
    const controllers = Array.from({ length: 3 }, () => new AbortController())
    const group = controllers.map(({ signal }) => search(LONG, 5, { signal }))
    held[0]!.finish()
    held[0]!.finish()
    await turn()
    await turn()
    assert.deepEqual(sizes(), [3, 3])
    controllers[0]!.abort()
    controllers[1]!.abort()
    await turn()
    assert.ok(group[0]!.error instanceof Cancelled && group[1]!.error instanceof Cancelled)
    assert.ok(held.every((task) => !task.isCancelled()))
    controllers[2]!.abort()
    assert.ok(held.every((task) => task.isCancelled()))
    await finishAll([first, ...group])
    assert.ok(group[2]!.error instanceof Cancelled)
    assert.ok(isFree(store))
  })

  test("a fiber that is interrupted stops its search, and has ended when nothing runs", async () => {
    const outcome: Outcome = { told: 0, stop: async () => undefined }
    const request = requestOf(store, LONG, query, { k: 5, mode: "exact" }, outcome)
    const fiber = Effect.runFork(direct<never>(() => dispatcher.start(request)))
    await turn()
    let hasEnded = false
    const ended = Effect.runPromise(Fiber.interrupt(fiber)).then(() => {
      hasEnded = true
    })
    await turn()
    assert.ok(held.every((task) => task.isCancelled()))
    assert.equal(hasEnded, false)
    held[0]!.finish()
    held[0]!.finish()
    await ended
    assert.equal(outcome.told, 0)
    assert.ok(isFree(store))
  })

  test("no timer outlives a search", async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
    const before = timers()
    const inTime = search(LONG, 5, { timeout: 60_000 })
    assert.equal(timers(), before + 1)
    await finishAll([inTime])
    assert.equal(timers(), before)
  })

  test("closing fails what waits and what runs, and settles when nothing runs", async () => {
    const running = search()
    const waiting = search()
    let isClosed = false
    const closed = dispatcher.close().then(() => {
      isClosed = true
    })
    await turn()
    assert.ok(waiting.error instanceof Closed)
    assert.equal(isClosed, false)
    held[0]!.finish()
    held[0]!.finish()
    await closed
    assert.ok(running.error instanceof Closed)
    assert.ok(search(SHORT).error instanceof Closed)
    assert.ok(isFree(store))
  })

  test("a part of a batch that fails fails the batch, once, and the rest of it is not run", async () => {
    const batch = search(LONG, 5, {}, randomVectors(2, 64 * DIMENSIONS))
    const broken = new Error("broken")
    held[0]!.fail(broken)
    await turn()
    assert.ok(held[0]!.isCancelled())
    held[0]!.finish()
    await turn()
    await turn()
    assert.equal(batch.error, broken)
    assert.equal(batch.told, 1)
    assert.equal(held.length, 0)
    assert.ok(isFree(store))
  })
})

test("a search that cannot be started fails alone, in whosever turn that is", async () => {
  const broken = new Error("broken")
  class Breaking extends FixedCost {
    isBroken = false
    override microseconds(...args: Parameters<FixedCost["microseconds"]>): number {
      if (this.isBroken) throw broken
      return super.microseconds(...args)
    }
  }
  const breaking = new Breaking(1000)
  const batch = randomVectors(3, 8 * DIMENSIONS)
  const running = search()
  const failing = search(breaking, 5, {}, batch)
  const next = search(LONG, 5, {}, batch)
  breaking.isBroken = true
  held[0]!.finish()
  held[0]!.finish()
  await finishAll([next])
  assert.deepEqual([running.told, running.error], [1, undefined])
  assert.deepEqual([failing.told, failing.error], [1, broken])
  assert.deepEqual([next.told, next.error], [1, undefined])
  assert.ok(isFree(store))
})

test("a call that is over keeps nothing alive of what it was given", async () => {
  const ended = async () => {
    const request = requestOf(store, SHORT, query, { k: 1 }, { told: 0 })
    const call = new Call(request, true)
    const given = new WeakRef(request)
    await call.abandon()
    return { call, given }
  }
  const { call, given } = await ended()
  await turn()
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
  assert.ok(given.deref() === undefined)
  assert.equal(call.isOver, true)
})
