/** Walks that mode auto takes: rows set aside while they are measured, and the plans that may have them. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { Calibration } from "../src/core/calibration.ts"
import { MODE } from "../src/core/kernels/shape.ts"
import { kernels } from "../src/core/native.ts"
import { choose, plan } from "../src/core/search/plan.ts"
import { Graph } from "../src/core/store/graph.ts"
import { loadImage, saveImage } from "../src/core/store/image.ts"
import { setAside } from "../src/core/store/set-aside.ts"
import { open, type SearchOptions } from "../src/index.ts"
import { clustered, keysOf } from "./clusters.ts"
import { drop, newStore, put } from "./stores.ts"

const native = { skip: kernels.graph === undefined && "there is no addon" }
const OPTIONS = { m: 8, efConstruction: 40, seed: 3 }
const ROWS = 2000
const D = 8

const scan = { mode: MODE.flat, nprobe: 0, rerank: 40, recall: 0.999, error: 0, us: 30 }
const walk = { mode: MODE.hnsw, nprobe: 0, rerank: 12, efSearch: 24, recall: 0.98, error: 0.001, us: 20 }
const CALIBRATION: Calibration = {
  rows: ROWS,
  queries: 256,
  curves: [{ k: 10, settings: [scan] }],
  walks: [{ k: 10, settings: [walk] }]
}

/** A store whose rows are all linked, on this thread. */
const linkedStore = () => {
  const store = newStore(kernels, { dimensions: D, metric: "cosine", precision: "f32" })
  put(store, keysOf(0, ROWS), 1)
  store.useGraph(new Graph(kernels, store.shape, OPTIONS, new Float32Array(new SharedArrayBuffer(4 * D))))
  const rows = Uint32Array.from({ length: ROWS }, (_, row) => row)
  kernels.graph!.insert(store.columns.layout, store.columns, rows, OPTIONS.efConstruction, new Int32Array(1), 0)
  store.useCalibration(CALIBRATION)
  return { store, graph: store.graph! }
}

test("no list leads to a row that is set aside, and every link comes back", native, async () => {
  const { store, graph } = linkedStore()
  const before = graph.lowestLinks(0).slice()
  const wanted = Uint32Array.from({ length: 200 }, (_, i) => i * 10)
  const aside = await setAside(store, graph, wanted)
  assert.ok(aside.rows.size > 150)
  assert.ok(Array.from(aside.rows).every((row) => graph.level(row) === 0))
  assert.deepEqual(new Set(graph.pendingRows(store.segments, ROWS)), aside.rows)
  assert.equal(graph.linked, ROWS - aside.rows.size)
  const width = 2 * OPTIONS.m
  const leads = graph.lowestLinks(0).subarray(0, ROWS * width)
  assert.ok(leads.every((link, at) => !aside.rows.has(link - 1) || link - 1 === Math.floor(at / width)))
  const [died] = aside.rows
  drop(store, `k${died}`)
  aside.restore()
  assert.deepEqual(graph.lowestLinks(0), before)
  assert.equal(graph.linked, ROWS - 1)
  assert.equal(graph.pending(store.directory.live), 0)
})

test("auto walks where that was measured to cost less, and nothing else was asked of the search", native, () => {
  const { store } = linkedStore()
  const planned = (options: SearchOptions, filtered = false) =>
    plan(choose(options, store.shape), store.columns, ROWS, 0, filtered)
  const { mode, efSearch, rerank } = planned({ recall: 0.95 })
  assert.deepEqual({ mode, efSearch, rerank }, { mode: MODE.hnsw, efSearch: 24, rerank: 12 })
  assert.equal(planned({ recall: 0.99 }).mode, MODE.flat)
  assert.equal(planned({ recall: 0.95 }, true).mode, MODE.flat)
  assert.equal(planned({ recall: 0.95, minScore: 0.5 }).mode, MODE.flat)
  assert.equal(planned({ recall: 0.95, k: 11 }).mode, MODE.flat)
  const settings = [{ ...scan, us: 19 }]
  store.useCalibration({ ...CALIBRATION, curves: [{ k: 10, settings }] })
  assert.equal(planned({ recall: 0.95 }).mode, MODE.flat)
})

test("what was measured of walks is saved with the graph, and not held against another", native, async () => {
  const folder = await mkdtemp(join(tmpdir(), "sabine-walks-"))
  try {
    const { store } = linkedStore()
    const path = join(folder, "c")
    await saveImage(store, { generation: 1, embedder: "", graph: OPTIONS }, path)
    const { store: loaded } = await loadImage(kernels, path)
    assert.deepEqual(loaded.codes.calibration, CALIBRATION)
    loaded.useGraph(undefined)
    assert.equal(loaded.codes.calibration?.walks, undefined)
    assert.deepEqual(loaded.codes.calibration?.curves, CALIBRATION.curves)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test("once rows have been linked in the background their walks are measured", native, async () => {
  await using db = await open(":memory:", { threads: 2 })
  const collection = await db.collection("c", { dimensions: 16, index: "hnsw" })
  await collection.addMany({ keys: keysOf(0, 5000), vectors: clustered(1, 5000, 16) })
  while (collection.stats().calibration?.walks === undefined) await new Promise((wake) => setTimeout(wake, 20))
  const { calibration, hnsw } = collection.stats()
  assert.equal(hnsw?.linked, 5000)
  assert.ok(calibration!.walks!.every(({ settings }) => settings.length > 0))
})
