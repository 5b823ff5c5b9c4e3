/** Rounds of splits and merges: what they take on, how they share the event loop, and what stops them. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Builder } from "../src/core/builder.ts"
import { byList } from "../src/core/collection/lists.ts"
import { driftOf, planRegrouping, regroup } from "../src/core/collection/regrouping.ts"
import { Cancelled } from "../src/core/errors.ts"
import { kernels } from "../src/core/native.ts"
import { Remote } from "../src/core/remote.ts"
import { initialCost } from "../src/core/search/cost.ts"
import { choose } from "../src/core/search/plan.ts"
import { searchInPlace } from "../src/core/search/search.ts"
import { boundOf, moveRows } from "../src/core/store/compaction.ts"
import { MAX_LISTS, packCentroids } from "../src/core/store/list-columns.ts"
import { releaseUnused } from "../src/core/store/unused.ts"
import type { Build } from "../src/workers/build.ts"
import { listAll, listedRows, liveRowsOf } from "./lists.ts"
import { sizesOf } from "./regrouping.ts"
import { drop, newStore, put } from "./stores.ts"
import { turnsOf } from "./turns.ts"

const DIMENSIONS = 12

/** What is due of `count` lists of which the first have these sizes and the others `rest`. */
const dueOf = (count: number, sizes: ReadonlyArray<number>, rest = 0, wanted = count) => {
  const sizeOf = (list: number) => sizes[list] ?? rest
  const live = sizes.reduce((sum, size) => sum + size, 0) + (count - sizes.length) * rest
  return driftOf({ count, sizeOf, triedAt: () => 0 }, live, wanted)
}
const splitsOf = async (...args: Parameters<typeof dueOf>) => (await dueOf(...args))?.splits.map(({ list }) => list)

test("a round is bounded by the rows that it reads, those around a split included", async () => {
  const long = Array.from({ length: 10 }, () => 24_000)
  assert.deepEqual(await splitsOf(110, long, 4000), [0], "the lists around one hold 186,000 rows")
  const few = Array.from({ length: 14 }, () => 2000)
  assert.equal((await splitsOf(100, few, 100))?.length, 14, "all rows that there are go into a round")
  const nearlyEmpty = Array.from({ length: 40 }, () => 400)
  const merges = (await dueOf(200, nearlyEmpty, 4000))?.merges
  assert.deepEqual(merges, [0], "what takes its rows in is written anew")
  assert.equal((await dueOf(200, nearlyEmpty.fill(0), 4000))?.merges.length, 40, "empty lists have no rows to read")
})

test("a list that does not go into a round takes no room from the next", async () => {
  assert.deepEqual(await splitsOf(1000, [100_000, 40_000, 3000]), [0, 2])
  const { splits } = (await dueOf(MAX_LISTS - 10, [20_000, 3000]))!
  assert.deepEqual(splits, [{ list: 0, parts: 11 }], "as many parts as there may still be lists")
})

test("the longest lists are split and the shortest merged", async () => {
  const sizes = Array.from({ length: 200 }, (_, list) => {
    if (list < 30) return 600 + ((list * 7) % 30)
    return list < 130 ? (list * 11) % 9 : 60
  })
  const inOrder = (sign: number) => Array.from(sizes.keys()).sort((a, b) => sign * (sizes[a]! - sizes[b]!) || a - b)
  assert.deepEqual(await splitsOf(200, sizes), inOrder(-1).slice(0, 16))
  assert.deepEqual((await dueOf(200, sizes))?.merges, inOrder(1).slice(0, 64))
})

/** A store of many short lists. */
const withLists = (rows: number, lists: number) => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric: "cosine", precision: "f32" })
  put(
    store,
    Array.from({ length: rows }, (_, i) => `k${i}`),
    5
  )
  listAll(store, lists)
  return { store, lists: store.lists! }
}

/** A plan that takes lists away, so that all their rows go to the first of the others. */
const dropping = (count: number, dropped: ReadonlyArray<number>) => {
  const kept = Uint32Array.from({ length: count }, (_, list) => list).filter((list) => !dropped.includes(list))
  const centroids = packCentroids({
    columns: new Float32Array(256 * kept.length),
    halfNorms: new Float32Array(kept.length),
    biases: new Float32Array(kept.length)
  })
  const lists = { centroids, local: centroids, kept, count: kept.length }
  return { ...lists, split: [], dropped, near: Uint32Array.of(0), checked: new Uint32Array() }
}

test("what goes through lists and rows leaves turns to others", async () => {
  assert.ok((await turnsOf(() => dueOf(8000, [1000], 100))) >= 990)
  assert.ok((await turnsOf(() => byList(new Uint32Array(8000), 1, undefined))) >= 2 * 990)
  const { store, lists } = withLists(4000, 200)
  const dropped = Array.from({ length: 120 }, (_, i) => i + 50)
  const blocks = dropped.reduce((sum, list) => sum + lists.chain(list).length, 0)
  const moving = dropped.reduce((sum, list) => sum + lists.sizeOf(list), 0)
  const written = moving + lists.sizeOf(0)
  let read = 0
  const turns = await turnsOf((soFar) => {
    const assign = async (rows: Uint32Array) => {
      read = soFar()
      return new Uint32Array(rows.length)
    }
    return regroup(lists, assign, dropping(200, dropped))
  })
  assert.ok(read >= Math.floor((dropped.length + blocks) / 8) - 2, `${read} turns while ${blocks} blocks were read`)
  // Rows that may move are gone through twice, and those of lists that are written anew five times.
  assert.ok(turns - read >= (2 * moving + 5 * written) / 8, `${turns - read} turns while ${written} rows were written`)
  assert.deepEqual(
    Array.from(liveRowsOf(store)).filter((row) => lists.listOf(row) === undefined),
    []
  )
})

test("a round that is stopped leaves lists as they are, and the blocks that it took", async () => {
  const { store, lists } = withLists(1000, 20)
  const dropped = [3, 4, 5, 6, 7, 8]
  const before = sizesOf(store)
  const stopped = async () => {
    const controller = new AbortController()
    const assign = async (rows: Uint32Array) => {
      controller.abort(new Cancelled())
      return rows.fill(0)
    }
    await turnsOf(() => assert.rejects(regroup(lists, assign, dropping(20, dropped), controller.signal), Cancelled))
  }
  await stopped()
  const stoppedWriting = async () => {
    const rows = liveRowsOf(store)
    const { centroids, kept } = dropping(20, dropped)
    const isChanged = new Uint8Array(kept.length).fill(1)
    const all = {
      rows,
      targets: rows.map((_, i) => i % kept.length),
      centroids,
      kept,
      isChanged,
      unparted: new Set<number>()
    }
    await turnsOf(() => assert.rejects(lists.regroup(all, AbortSignal.abort(new Cancelled())), Cancelled))
  }
  await stoppedWriting()
  const { blocks } = lists
  await stoppedWriting()
  assert.equal(lists.blocks, blocks)
  assert.deepEqual(sizesOf(store), before)
  assert.deepEqual(listedRows(store), Array.from(liveRowsOf(store)))
})

test("nobody waits for a plan that is not wanted any more", async () => {
  const { store, lists } = withLists(1000, 2)
  const controller = new AbortController()
  const drift = { splits: [{ list: 0, parts: 2 }], merges: [] }
  // A builder that is at something longer.
  const call = () => {
    setImmediate(() => controller.abort())
    return new Promise<never>(() => undefined)
  }
  await assert.rejects(planRegrouping(store, lists, { call }, drift, controller.signal), Cancelled)
})

test("a plan by codes that a compaction took away meanwhile is none", async (t) => {
  const remote = new Remote<Build>("build")
  t.after(() => remote.close())
  const { store, lists } = withLists(2000, 2)
  for (let i = 0; i < 1000; i++) drop(store, `k${i}`)
  store.slots.reclaim()
  const drift = { splits: [{ list: 0, parts: 4 }], merges: [] }
  const { signal } = new AbortController()
  let isCompacted = false
  /** The builder, but that a compaction is faster. */
  const call: Builder["Service"]["call"] = async (use) => {
    const end = store.directory.rows
    const bound = boundOf(store, 0)!
    store.slots.bind(bound)
    for (let row = end - 1; row >= bound; ) row = moveRows(store, bound, row).row
    store.slots.reclaim()
    isCompacted = store.cut(bound)
    await releaseUnused(store, end)
    return remote.call(use)
  }
  const planned = await planRegrouping(store, lists, { call }, drift, signal)
  assert.ok(isCompacted)
  assert.ok(planned === undefined, "it was made of codes that are no more")
  assert.ok((await planRegrouping(store, lists, remote, drift, signal)) !== undefined)
})

test("a plan stands although entries are updated meanwhile", async (t) => {
  const remote = new Remote<Build>("build")
  t.after(() => remote.close())
  const { store, lists } = withLists(2000, 2)
  const call: Builder["Service"]["call"] = (use) => {
    put(store, ["k5", "k6"], 9)
    return remote.call(use)
  }
  const drift = { splits: [{ list: 0, parts: 4 }], merges: [] }
  assert.ok((await planRegrouping(store, lists, { call }, drift, new AbortController().signal)) !== undefined)
  assert.equal(store.directory.moved, 2)
})

test("a search that lists were replaced under looks again", () => {
  const store = newStore(
    {
      ...kernels,
      search: (plan, columns, queries, control, hits, filter) => {
        const filtered = kernels.search(plan, columns, queries, control, hits, filter)
        if (store.lists !== before) return filtered
        // Its walk may have ended in blocks that are of another list by now.
        hits.counts.fill(0)
        listAll(store, 3)
        return filtered
      }
    },
    { dimensions: DIMENSIONS, metric: "l2", precision: "f32" }
  )
  put(
    store,
    Array.from({ length: 500 }, (_, i) => `k${i}`),
    5
  )
  listAll(store, 2)
  const before = store.lists
  let found = 0
  searchInPlace({
    memory: store,
    cost: initialCost(store.shape, true),
    choice: choose({ k: 10, mode: "ivf", nprobe: 2 }, store.shape),
    queries: new Float32Array(DIMENSIONS),
    count: 1,
    reader: () => {
      found = 0
      return { take: () => found++, isComplete: () => true }
    }
  })
  assert.equal(found, 10)
})
