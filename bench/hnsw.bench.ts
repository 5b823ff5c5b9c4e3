/**
 * The graph over real vectors: how quickly it is built, and recall and latency of walks by `efSearch`, beside the flat
 * scan in the same turns.
 */
import { kernels } from "../src/core/native.ts"
import { Graph } from "../src/core/store/graph.ts"
import type { Store } from "../src/core/store/store.ts"
import { open } from "../src/index.ts"
import { addBase } from "./adding.ts"
import type { Dataset } from "./data.ts"
import type { Measured } from "./figure.ts"
import { inTurn, scanner } from "./scanning.ts"
import { datasets, type Setting } from "./setting.ts"
import { filledStore, trainedEncoder } from "./stores.ts"
import { interleave, milliseconds, ratio } from "./timing.ts"
import { recall } from "./truth.ts"

export const about = "building a graph with one and two threads, and walking it on one"

const K = 10
const EFS = [16, 32, 48, 64, 96, 128, 200]
const THREADS = [1, 2]
const OPTIONS = { m: 16, efConstruction: 200, seed: 42 }
/** Rows linked in one native call. */
const CHUNK_ROWS = 4096
const FLAT = "the flat search with 128 candidates"

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  if (kernels.graph === undefined) return
  for await (const dataset of datasets(setting)) {
    const store = filledStore(kernels, dataset, "f32", trainedEncoder(kernels, dataset))
    yield* builtInPlace(store, dataset)
    yield* walks(store, dataset)
    for (const threads of THREADS) yield* builtInPool(dataset, threads)
  }
}

/** Links every row on this thread. */
async function* builtInPlace(store: Store, { dimensions, rows, base }: Dataset): AsyncGenerator<Measured> {
  const mean = new Float32Array(new SharedArrayBuffer(4 * dimensions))
  for (let i = 0; i < base.length; i++) mean[i % dimensions]! += base[i]! / rows
  store.useGraph(new Graph(kernels, store.shape, OPTIONS, mean))
  const time = await milliseconds(() => {
    for (let from = 0; from < rows; from += CHUNK_ROWS) {
      const part = Uint32Array.from({ length: Math.min(CHUNK_ROWS, rows - from) }, (_, i) => from + i)
      kernels.graph?.insert(store.columns.layout, store.columns, part, OPTIONS.efConstruction, new Int32Array(1), 0)
    }
  })
  yield { case: "linking, one thread, native", value: time / 1000, unit: "s" }
  yield { case: "linking, one thread, native", value: (rows / time) * 1000, unit: "rows/s" }
  const { allocated } = store.graph!.bytes(rows)
  yield { case: "graph and copies", value: allocated / 2 ** 20, unit: "MiB set aside" }
}

async function* walks(store: Store, { dimensions, queries: sets }: Dataset): AsyncGenerator<Measured> {
  for (const queries of sets) {
    const flat = inTurn(queries, dimensions, scanner(store, { k: K, mode: "flat" }))
    for (const efSearch of EFS) {
      const search = scanner(store, { k: K, mode: "hnsw", efSearch })
      const value = recall({ dimensions }, queries, K, (query) => search(query).rows)
      yield { case: `recall@${K}, ${queries.name}, efSearch ${efSearch}`, value, unit: "of exact" }
      const walk = inTurn(queries, dimensions, search)
      const times = await interleave({ flat, walk }, { rounds: 3, turnMs: 200 })
      yield {
        case: `search, ${queries.name}, efSearch ${efSearch}, p50`,
        value: times.walk.p50,
        unit: "us",
        against: FLAT,
        ratio: ratio(times.walk, times.flat)
      }
      yield { case: `search, ${queries.name}, efSearch ${efSearch}, p99`, value: times.walk.p99, unit: "us" }
    }
  }
}

/** Builds through a collection, with all that a user waits for. */
async function* builtInPool(dataset: Dataset, threads: number): AsyncGenerator<Measured> {
  await using db = await open(":memory:", { threads })
  const collection = await db.collection("c", { dimensions: dataset.dimensions, index: "hnsw" })
  await addBase(collection, dataset)
  const time = await milliseconds(() => collection.buildIndex())
  yield { case: `buildIndex, ${threads} threads`, value: time / 1000, unit: "s" }
  yield { case: `buildIndex, ${threads} threads`, value: (dataset.rows / time) * 1000, unit: "rows/s" }
}
