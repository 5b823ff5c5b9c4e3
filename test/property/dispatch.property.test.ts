/** Searches of many callers through one queue: each gets its own answer once, whatever becomes of the others. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Cancelled, WorkerCrashed } from "../../src/core/errors.ts"
import { kernels } from "../../src/core/native.ts"
import { Dispatcher } from "../../src/core/search/dispatch.ts"
import { searchInPlace } from "../../src/core/search/search.ts"
import type { HitColumns } from "../../src/index.ts"
import { begin, FixedCost, heldPool, isFree, type Outcome, requestOf } from "../dispatching.ts"
import { newStore, put } from "../stores.ts"
import { randomVectors } from "./kernels/random.ts"

const DIMENSIONS = 3
const ROWS = 40
const QUERIES = 12
const THREADS = 2
const SHAPE = { dimensions: DIMENSIONS, metric: "dot", precision: "f32" } as const
/** A short search, one for the pool, and one that is a batch's whole share. */
const COSTS = [50, 500, 5000].map((us) => new FixedCost(us))
const queries = randomVectors(3, QUERIES * DIMENSIONS)
const OPTIONS = [
  { k: 3, mode: "exact" },
  { k: 3, mode: "exact", rerank: 0 },
  { k: 5, mode: "exact" }
] as const

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("single" as const),
      store: fc.nat(1),
      cost: fc.nat(2),
      query: fc.nat(QUERIES - 1),
      options: fc.nat(2)
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("batch" as const),
      store: fc.nat(1),
      cost: fc.nat(2),
      options: fc.nat(2),
      count: fc.integer({ min: 2, max: QUERIES })
    })
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("finish" as const), which: fc.nat(THREADS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), which: fc.nat(THREADS) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(30), byCaller: fc.boolean() })
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("turn" as const) }) }
)

const turn = () => new Promise(setImmediate)

const stores = [1, 2].map((seed) => {
  const store = newStore(kernels, SHAPE, seed)
  put(
    store,
    Array.from({ length: ROWS }, (_, i) => `${seed}-${i}`),
    seed
  )
  return store
})

/** What a search finds when it runs alone. */
const alone = (store: number, from: number, count: number, options: number): HitColumns => {
  const outcome = { told: 0 } as Outcome
  const part = queries.slice(from * DIMENSIONS, (from + count) * DIMENSIONS)
  const request = requestOf(stores[store]!, COSTS[0]!, part, OPTIONS[options]!, outcome)
  searchInPlace(request)
  request.done()
  return outcome.found!
}

interface Begun {
  readonly outcome: Outcome
  readonly expected: HitColumns
  readonly controller: AbortController
  isStopped: boolean
}

test("every caller gets its own answer, error or cancel, once, and every claim is released", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
      const { pool, held } = heldPool(THREADS, stores)
      const dispatcher = new Dispatcher(pool)
      const begun: Array<Begun> = []
      const crashed = new WorkerCrashed({ cause: "test" })
      const start = (store: number, cost: number, from: number, count: number, options: number) => {
        const controller = new AbortController()
        const part = queries.slice(from * DIMENSIONS, (from + count) * DIMENSIONS)
        const limits = { signal: controller.signal }
        const outcome = begin(dispatcher, stores[store]!, COSTS[cost]!, part, OPTIONS[options]!, limits)
        begun.push({ outcome, expected: alone(store, from, count, options), controller, isStopped: false })
      }
      for (const step of commands) {
        if (step.do === "single") start(step.store, step.cost, step.query, 1, step.options)
        else if (step.do === "batch") start(step.store, step.cost, 0, step.count, step.options)
        else if (step.do === "finish") held[step.which]?.finish()
        else if (step.do === "crash") held[step.which]?.fail(crashed)
        else if (step.do === "turn") await turn()
        else {
          const one = begun[step.which]
          if (one === undefined || one.outcome.told > 0) continue
          if (step.byCaller) one.controller.abort()
          else {
            one.isStopped = true
            one.outcome.stop()
          }
        }
        assert.ok(held.length <= THREADS, "more tasks than workers")
        for (const { task } of held) assert.ok(task.queries.length <= QUERIES * DIMENSIONS)
      }
      for (let idle = 0; idle < 4; idle++) {
        await turn()
        if (held.length === 0) continue
        held[0]!.finish()
        idle = 0
      }
      for (const { outcome, expected, controller, isStopped } of begun) {
        assert.ok(outcome.told <= 1, "told twice")
        if (isStopped) continue
        assert.equal(outcome.told, 1, "never told")
        if (outcome.error === undefined) assert.deepEqual(outcome.found, expected)
        else if (outcome.error !== crashed) {
          assert.ok(outcome.error instanceof Cancelled)
          assert.ok(controller.signal.aborted)
        }
      }
      for (const store of stores) assert.ok(isFree(store), "a claim is left")
      await dispatcher.close()
    }),
    { numRuns: 150 }
  )
})
