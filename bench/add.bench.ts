/** Writing: batches once the codes are trained, the training apart, and single entries. */
import { kernels } from "../src/core/native.ts"
import type { Store } from "../src/core/store/store.ts"
import { writeVectors } from "../src/core/store/write.ts"
import { type Collection, open } from "../src/index.ts"
import { keysOf } from "./adding.ts"
import type { Dataset } from "./data.ts"
import type { Measured } from "./figure.ts"
import { datasets, type Setting } from "./setting.ts"
import { blankEncoder, filledStore } from "./stores.ts"
import { median, milliseconds, quantile } from "./timing.ts"

export const about = "addMany and add with codes on the default threads, against copying and encoding"

/** A batch that trains, where the data has as many. */
const FIRST_ROWS = 4096
const SINGLES = 5000
const ROUNDS = 5

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    const { dimensions, rows, base } = dataset
    const firstRows = Math.min(FIRST_ROWS, rows)
    const keys = keysOf(rows)
    const training: Array<number> = []
    const adding: Array<number> = []
    const copying: Array<number> = []
    let singles: ReadonlyArray<Measured> = []
    for (let round = 0; round < ROUNDS; round++) {
      await using db = await open(":memory:")
      const collection = await db.collection("add", { dimensions })
      const first = { keys: keysOf(firstRows, "first"), vectors: base.slice(0, firstRows * dimensions) }
      training.push(await milliseconds(() => collection.addMany(first)))
      adding.push(await milliseconds(() => collection.addMany({ keys, vectors: base })))
      copying.push(await milliseconds(() => new Float32Array(new SharedArrayBuffer(base.byteLength)).set(base)))
      if (round === ROUNDS - 1) singles = await singleAdds(collection, dataset)
    }
    yield { case: `first batch of ${firstRows}, training included`, value: median(training), unit: "ms" }
    const copy = median(copying)
    yield { case: `copy of ${rows} x ${dimensions} into fresh memory`, value: copy, unit: "ms" }
    yield {
      case: `addMany of ${rows} x ${dimensions}`,
      value: (rows / median(adding)) * 1000,
      unit: "rows/s",
      against: "copying the vectors into fresh memory",
      ratio: median(adding.map((ms, round) => ms / copying[round]!)),
      target: "100000 rows/s"
    }
    yield* singles
  }
}

/** Single adds, each followed by the native part of one on a store beside it. */
const singleAdds = async (collection: Collection, dataset: Dataset): Promise<ReadonlyArray<Measured>> => {
  const { dimensions } = dataset
  const count = Math.min(SINGLES, dataset.rows)
  const store = filledStore(kernels, { ...dataset, rows: 1 }, "f32", blankEncoder(kernels, dimensions))
  const rows = store.reserve(count)
  const adds: Array<number> = []
  const writes: Array<number> = []
  for (let i = 0; i < count; i++) {
    const vector = dataset.base.slice(i * dimensions, (i + 1) * dimensions)
    adds.push((await milliseconds(() => collection.add({ key: `single-${i}`, vector }))) * 1000)
    writes.push(writeAlone(store, rows.subarray(i, i + 1), vector))
  }
  const ratio = median(adds.map((us, i) => us / writes[i]!))
  adds.sort((a, b) => a - b)
  const against = "encoding and storing the vector, one native call"
  return [
    { case: "add, p50", value: quantile(adds, 0.5), unit: "us", against, ratio, target: "60 us" },
    { case: "add, p99", value: quantile(adds, 0.99), unit: "us" },
    { case: against, value: median(writes), unit: "us" }
  ]
}

const writeAlone = (store: Store, rows: Uint32Array, vector: Float32Array): number => {
  const start = performance.now()
  writeVectors(kernels, store.columns, rows, vector)
  return (performance.now() - start) * 1000
}
