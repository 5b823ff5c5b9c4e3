/** Memory that cannot be had while a store grows: nothing is in force of what did not find room. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { kernels } from "../src/core/native.ts"
import { Graph } from "../src/core/store/graph.ts"
import { BLOCK, BLOCKS, SLOTS } from "../src/core/store/layout.ts"
import { packCentroids } from "../src/core/store/list-columns.ts"
import type { ListWriter } from "../src/core/store/lists.ts"
import type { Store } from "../src/core/store/store.ts"
import { newStore } from "./stores.ts"

const DIMENSIONS = 16
const LISTS = 40

/** Runs `work` while the `nth` shared buffer, and every one after it, cannot be had; how many were asked for. */
const without = (nth: number, work: () => void): number => {
  const Buffer = globalThis.SharedArrayBuffer
  let asked = 0
  globalThis.SharedArrayBuffer = class extends Buffer {
    constructor(bytes: number) {
      if (asked++ >= nth) throw new RangeError("Array buffer allocation failed")
      super(bytes)
    }
  } as typeof Buffer
  try {
    work()
  } finally {
    globalThis.SharedArrayBuffer = Buffer
  }
  return asked
}

/** What other threads, searches and images go by. */
const inForce = (store: Store) => ({
  segments: store.segments.length,
  buffers: store.handle().segments.length,
  codes: store.columns.codes.length,
  rows: store.directory.rows,
  lists: store.lists?.blocks
})

/** Grows a new store with memory for each number of buffers too few, and then with enough. */
const growsWholeOrNot = (fresh: () => Store, grow: (store: Store) => void) => {
  const needed = without(Number.POSITIVE_INFINITY, () => grow(fresh()))
  const made = fresh()
  const before = inForce(made)
  const growing = without(Number.POSITIVE_INFINITY, () => grow(made))
  assert.ok(needed > growing && growing > 0)
  for (let nth = 0; nth < growing; nth++) {
    const store = fresh()
    assert.throws(() => without(nth, () => grow(store)), RangeError)
    assert.deepEqual(inForce(store), before, `without buffer ${nth} of ${growing}`)
    grow(store)
    assert.deepEqual(inForce(store), inForce(made))
  }
}

test("a segment is there for all, or for nobody", { skip: kernels.graph === undefined && "no addon" }, () => {
  const shape = { dimensions: DIMENSIONS, metric: "dot", precision: "f32" } as const
  const fresh = () => {
    const store = newStore(kernels, shape)
    const mean = new Float32Array(new SharedArrayBuffer(4 * DIMENSIONS))
    store.useGraph(new Graph(kernels, store.shape, { m: 8, efConstruction: 40, seed: 1 }, mean))
    store.reserve(SLOTS)
    return store
  }
  growsWholeOrNot(fresh, (store) => store.reserve(1))
})

/** A store whose lists have used all blocks of a chunk but one, and every block is full. */
const withFullLists = () => {
  const store = newStore(kernels, { dimensions: DIMENSIONS, metric: "dot", precision: "f32" })
  const centroids = {
    columns: new Float32Array(256 * LISTS),
    halfNorms: new Float32Array(LISTS),
    biases: new Float32Array(LISTS)
  }
  // Before there are lists: they take no blocks beyond those of these rows.
  const rows = store.reserve(BLOCK * (BLOCKS - 1))
  store.useLists(store.newLists(packCentroids(centroids)))
  for (const [i, row] of rows.entries()) store.lists!.append(row, Math.floor(i / BLOCK) % LISTS)
  return store
}

/** Rows that a walk of a list meets, in order. */
const walked = (lists: ListWriter, list: number): ReadonlyArray<number> => {
  const rows: Array<number> = []
  for (const block of lists.chain(list)) lists.forEachRow(block, (row) => rows.push(row))
  return rows
}

test("rows that found slots find room in lists", () => {
  const fresh = withFullLists
  assert.equal(fresh().lists!.blocks, BLOCKS - 1)
  growsWholeOrNot(fresh, (store) => store.reserve(2))
  const store = fresh()
  const [a, b] = store.reserve(2)
  assert.equal(
    without(0, () => {
      store.lists!.append(a!, 0)
      store.lists!.append(b!, 1)
    }),
    0
  )
  assert.equal(store.lists!.blocks, BLOCKS + 1)
})

test("a list that finds no memory to be written anew stays whole", () => {
  const lists = withFullLists().lists!
  const rows = walked(lists, 0)
  const left = rows.slice(Math.ceil(rows.length / 2) + BLOCK)
  const gone = rows.slice(0, -left.length)
  without(0, () => {
    for (const row of gone) lists.remove(row, 0)
  })
  assert.deepEqual(walked(lists, 0), left)
  assert.throws(() => without(0, () => lists.rewrite(0)), RangeError)
  assert.deepEqual(walked(lists, 0), left)
  assert.deepEqual(
    left.filter((row) => lists.listOf(row) !== 0),
    []
  )
  const { length } = lists.chain(0)
  lists.remove(left[0]!, 0)
  assert.deepEqual(walked(lists, 0), left.slice(1))
  assert.ok(lists.chain(0).length < length, "it is written anew once there is memory")
})

test("a list that is written anew leaves the room that rows have found", () => {
  const lists = withFullLists().lists!
  const rows = walked(lists, 0)
  lists.reserve(1, 0)
  // What is left of it would fit into one block, the last there is.
  without(0, () => {
    for (const gone of rows.slice(0, -BLOCK)) lists.remove(gone, 1)
  })
  without(0, () => lists.append(rows[0]!, 1))
  assert.equal(lists.listOf(rows[0]!), 1)
})

test("memory that a part of many rows found is announced with the next", () => {
  const store = withFullLists()
  let lists = 0
  store.onGrowth(({ codes }) => {
    lists = codes.lists!.chunks.length
  })
  // Two buffers a chunk, after that of keys.
  assert.throws(() => without(3, () => store.lists!.reserve(3 * BLOCK * BLOCKS, 0)), RangeError)
  store.lists!.reserve(BLOCK, 0)
  assert.equal(lists, store.lists!.buffers.chunks.length)
})
