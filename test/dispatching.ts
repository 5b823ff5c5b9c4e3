/** Dispatchers to test with: over a pool whose workers finish, or die, when they are told to. */
import { hitColumns } from "../src/core/collection/read.ts"
import type { Limits } from "../src/core/limits.ts"
import { kernels } from "../src/core/native.ts"
import type { Request } from "../src/core/search/call.ts"
import { ScanCost } from "../src/core/search/cost.ts"
import type { Dispatcher } from "../src/core/search/dispatch.ts"
import { newHits } from "../src/core/search/hits.ts"
import { choose } from "../src/core/search/plan.ts"
import type { Search } from "../src/core/search/search.ts"
import type { SearchTask } from "../src/core/search/task.ts"
import { NO_NAMESPACE } from "../src/core/store/rows.ts"
import type { Store } from "../src/core/store/store.ts"
import type { HitColumns, SearchOptions } from "../src/index.ts"

/** A task that a worker has. */
export interface Held {
  readonly task: SearchTask
  /** Whether the word that cancels it is set. */
  readonly isCancelled: () => boolean
  readonly finish: () => void
  readonly fail: (error: unknown) => void
}

/** Workers that hold every task until they are told what to do. */
export const heldPool = (threads: number, stores: ReadonlyArray<Store>) => {
  const held: Array<Held> = []
  const run = <A>(_: string, task: object): Promise<A> =>
    new Promise((resolve, reject) => {
      const search = task as SearchTask
      const { columns, directory } = stores.find((store) => store.handle().id === search.id)!
      const leave = () => held.splice(held.indexOf(entry), 1)
      const entry: Held = {
        task: search,
        isCancelled: () => directory.words[search.plan.cancel] !== 0,
        finish: () => {
          leave()
          const hits = newHits(search.queries.length / search.plan.dimensions, search.plan.keep)
          kernels.search(search.plan, columns, search.queries, directory.words, hits)
          resolve({ stale: false, value: { hits, microseconds: 1 } } as A)
        },
        fail: (error) => {
          leave()
          reject(error)
        }
      }
      held.push(entry)
    })
  return { pool: { threads, run }, held }
}

/** A cost that experience does not change, in microseconds a query. */
export class FixedCost extends ScanCost {
  us: number
  constructor(us: number) {
    super([0, 0, 0, 0])
    this.us = us
  }
  override microseconds(_plan: unknown, _rows: number, queries: number): number {
    return this.us * queries
  }
}

/** What became of a search; undefined until it is known. */
export interface Outcome {
  found?: HitColumns
  error?: unknown
  /** How often it was told: once, if all is well. */
  told: number
  readonly stop: () => Promise<void>
}

/** The search of `queries` as collections ask for it. */
export const requestOf = (
  store: Store,
  cost: ScanCost,
  queries: Float32Array,
  options: SearchOptions,
  outcome: Pick<Outcome, "found" | "error" | "told">
): Request => {
  const choice = choose(options, store.shape)
  const count = queries.length / store.shape.dimensions
  const { reader, result } = hitColumns({ rows: store, scope: () => NO_NAMESPACE }, count, choice.keep)
  const search: Search = { memory: store, cost, choice, queries, count, reader }
  return {
    ...search,
    isBatch: count > 1,
    done: () => {
      outcome.told++
      outcome.found = result()
    },
    fail: (error) => {
      outcome.told++
      outcome.error = error
    }
  }
}

/** Starts a search and returns where its outcome will be. */
export const begin = (
  dispatcher: Dispatcher,
  store: Store,
  cost: ScanCost,
  queries: Float32Array,
  options: SearchOptions,
  limits: Limits = {}
): Outcome => {
  let stop: (() => Promise<void>) | undefined
  const outcome: Outcome = { told: 0, stop: async () => stop?.() }
  stop = dispatcher.start(requestOf(store, cost, queries, options, outcome), limits)
  return outcome
}

/** Whether nobody claims an epoch of a store. */
export const isFree = ({ directory }: Pick<Store, "directory">): boolean => {
  const { epoch } = directory
  return directory.advance() === epoch
}
