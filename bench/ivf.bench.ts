/** Inverted lists: how long they take to build, what levels of recall cost with them, and writing while they serve. */
import { kernels } from "../src/core/native.ts"
import { type Collection, type CollectionOptions, open } from "../src/index.ts"
import { addBase, keysOf } from "./adding.ts"
import { clusters } from "./clusters.ts"
import { type Dataset, dataset, type Queries } from "./data.ts"
import type { Measured } from "./figure.ts"
import { inTurn } from "./scanning.ts"
import type { Setting } from "./setting.ts"
import { interleave, milliseconds, ratio } from "./timing.ts"
import { recall } from "./truth.ts"

export const about = "inverted lists and levels of recall through collection.search, against a flat search"

const K = 10
const LEVELS = [0.9, 0.95, 0.99, 0.995]
/** Size and shape of the large set where no other is asked for. */
const LARGE_ROWS = 1_000_000
const DIMENSIONS = 384
const LARGE_QUERIES = 200
const FLAT = "the same search, mode flat"
/** Rows of each batch that is added while searches run, and how long that goes on. */
const BATCH_ROWS = 5000
const WRITING_MS = 4000

export async function* figures({ data, rows }: Setting): AsyncGenerator<Measured> {
  const real = await dataset(data, undefined)
  yield* levels("real", real)
  yield* levels("real with a graph", real, { ivf: {}, hnsw: {} })
  for (const count of rows.length > 0 ? rows : [LARGE_ROWS]) {
    yield* levels(`${count} clustered`, clusters(count, DIMENSIONS, LARGE_QUERIES))
  }
}

async function* levels(
  name: string,
  dataset: Dataset,
  index: CollectionOptions["index"] = "ivf"
): AsyncGenerator<Measured> {
  // One thread: what is measured is the work, not how it is spread.
  await using db = await open(":memory:", { threads: 1 })
  const collection = await db.collection("ivf", { dimensions: dataset.dimensions, index })
  const added = await milliseconds(() => addBase(collection, dataset))
  const built = await milliseconds(() => collection.buildIndex())
  yield { case: `${name}: training and adding, one thread`, value: added, unit: "ms" }
  yield { case: `${name}: index and calibration, one thread`, value: built, unit: "ms" }
  for (const queries of dataset.queries) yield* eachLevel(name, collection, dataset, queries)
  yield* writingMeanwhile(name, collection, dataset)
}

async function* eachLevel(
  name: string,
  collection: Collection,
  dataset: Dataset,
  queries: Queries
): AsyncGenerator<Measured> {
  const turn = (options: { readonly recall?: number; readonly mode?: "flat" }) =>
    inTurn(queries, dataset.dimensions, (query) => collection.search(query, { k: K, ...options }))
  for (const level of LEVELS) {
    const found = await foundAt(collection, dataset, queries, level)
    const times = await interleave({ flat: turn({ mode: "flat" }), search: turn({ recall: level }) }, { rounds: 3 })
    const label = `${name}, ${queries.name}, recall ${level}`
    yield { case: `${label}: reached`, value: found, unit: "of exact", target: String(level) }
    yield {
      case: `${label}: p50`,
      value: times.search.p50,
      unit: "us",
      against: FLAT,
      ratio: ratio(times.search, times.flat)
    }
  }
}

const foundAt = async (collection: Collection, dataset: Dataset, queries: Queries, level: number): Promise<number> => {
  const { keys } = await collection.searchMany(queries.vectors, { k: K, recall: level })
  const rowOf = (key: string) => Number(key.slice(key.indexOf("-") + 1))
  let next = 0
  return recall(dataset, queries, K, () => {
    const rows = keys.slice(next * K, (next + 1) * K).map(rowOf)
    next++
    return rows
  })
}

async function* writingMeanwhile(name: string, collection: Collection, dataset: Dataset): AsyncGenerator<Measured> {
  const [queries] = dataset.queries
  if (queries === undefined) return
  const { dimensions, base, rows } = dataset
  const size = Math.min(BATCH_ROWS, rows)
  const search = inTurn(queries, dimensions, (query) => collection.search(query, { k: K, recall: 0.95 }))
  const end = performance.now() + WRITING_MS
  let written = 0
  let searches = 0
  const writer = async () => {
    for (let round = 0; performance.now() < end; round++, written += size) {
      const keys = keysOf(size, `batch-${round}`)
      await collection.addMany({ keys, vectors: base.subarray(0, size * dimensions) })
    }
  }
  const reader = async () => {
    for (; performance.now() < end; searches++) {
      await search()
      await new Promise(setImmediate)
    }
  }
  await Promise.all([writer(), reader()])
  const lists = `${collection.stats().lists} lists, ${kernels.activeIsa()}`
  const rate = (count: number) => (count * 1000) / WRITING_MS
  yield {
    case: `${name}: rows added while searching, ${lists}`,
    value: rate(written),
    unit: "a second",
    target: "20000"
  }
  yield { case: `${name}: searches meanwhile`, value: rate(searches), unit: "a second" }
}
