/** Memory that cannot be had while a store grows: nothing is in force of what did not find room. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { kernels } from "../src/core/native.ts"
import { Graph } from "../src/core/store/graph.ts"
import { BLOCK, BLOCKS, SLOTS } from "../src/core/store/layout.ts"
import { packCentroids } from "../src/core/store/list-columns.ts"
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

test("rows that found slots find room in lists", () => {
  const shape = { dimensions: DIMENSIONS, metric: "dot", precision: "f32" } as const
  const fresh = () => {
    const store = newStore(kernels, shape)
    const centroids = {
      columns: new Float32Array(256 * LISTS),
      halfNorms: new Float32Array(LISTS),
      biases: new Float32Array(LISTS)
    }
    store.useLists(store.newLists(packCentroids(centroids)))
    // All blocks of a chunk but one are full, and so is every list.
    const rows = store.reserve(BLOCK * (BLOCKS - 1))
    for (const [i, row] of rows.entries()) store.lists!.append(row, Math.floor(i / BLOCK) % LISTS)
    return store
  }
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
