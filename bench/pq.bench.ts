/**
 * Product codes over real vectors, as they are and after each rotation: training, encoding, what they lose and find
 * with and without vectors beside them, and scans against reading the codes.
 */
import { kernels } from "../src/core/native.ts"
import { type PqShape, ROTATIONS, type Rotation } from "../src/core/store/layout.ts"
import type { Store } from "../src/core/store/store.ts"
import type { Dataset } from "./data.ts"
import type { Measured } from "./figure.ts"
import { codeViews, inTurn, scanner, streamer } from "./scanning.ts"
import { datasets, type Setting } from "./setting.ts"
import { filledStore, trainedCodebook } from "./stores.ts"
import { interleave, milliseconds, ratio } from "./timing.ts"
import { recall } from "./truth.ts"

export const about = "product codes over real vectors, one thread, against reading the codes"

const K = 10
const SHAPES: ReadonlyArray<PqShape> = [
  { m: 8, bits: 8 },
  { m: 32, bits: 8 },
  { m: 96, bits: 4 }
]
/** A vector has no more subspaces than components. */
const shapesFor = (dimensions: number): ReadonlyArray<PqShape> => {
  const fitting = SHAPES.filter(({ m }) => m <= dimensions)
  return fitting.length > 0 ? fitting : [{ m: dimensions, bits: 8 }]
}
/** Candidates that are scored with stored vectors; short codes need more of them. */
const RERANKS = (bytes: number) => (bytes < 16 ? [128, 500, 1000] : [50, 100, 128])
/** Recall that is asked for of 8 bytes a row, by the depth it is asked at. */
const RECALLS: Readonly<Record<string, string>> = {
  "8 x 8 auto, in, rerank 500": ".90",
  "8 x 8 auto, out, rerank 1000": ".90"
}
const BATCH = 8
/** Rows of a training before the one that is timed. */
const WARM_UP_ROWS = 1024

export async function* figures(setting: Setting): AsyncGenerator<Measured> {
  for await (const dataset of datasets(setting)) {
    for (const { m, bits } of shapesFor(dataset.dimensions)) {
      for (const rotation of ROTATIONS) {
        yield* shape(dataset, { m, bits, ...(rotation !== "none" && { rotation }) })
      }
    }
  }
}

async function* shape(dataset: Dataset, pq: PqShape): AsyncGenerator<Measured> {
  const rotation: Rotation = pq.rotation ?? "none"
  const name = `${pq.m} x ${pq.bits} ${rotation}`
  const bytes = (pq.m * pq.bits) / 8
  let encoder = trainedCodebook(kernels, { ...dataset, rows: Math.min(dataset.rows, WARM_UP_ROWS) }, pq)
  const training = await milliseconds(() => {
    encoder = trainedCodebook(kernels, dataset, pq)
  })
  yield { case: `${name}: training`, value: training, unit: "ms" }
  yield { case: `${name}: distortion`, value: encoder.training?.distortion ?? Number.NaN, unit: "of variance" }
  yield { case: `${name}: components`, value: encoder.rotated ?? dataset.dimensions, unit: "" }
  const rewritten = filledStore(kernels, dataset, "none", encoder, pq)
  const encoding = await milliseconds(() => encodeAgain(rewritten, dataset))
  yield { case: `${name}: encoding`, value: (dataset.rows / encoding) * 1000, unit: "rows/s" }
  const codes = filledStore(kernels, dataset, "none", encoder, pq)
  yield* recalls(codes, dataset, `${name} without vectors`, [undefined])
  // Those of other rotations differ in the tables alone, by as much.
  if (rotation === "none" || rotation === "auto") yield* scans(codes, dataset, name)
  yield* recalls(filledStore(kernels, dataset, "f32", encoder, pq), dataset, name, RERANKS(bytes))
}

const CHUNK_ROWS = 4096

/** Writes every row once more: the pages of the codes are there by now. */
const encodeAgain = ({ columns: { layout, encoder, rows, codes } }: Store, { dimensions, base }: Dataset): void => {
  const slots = Uint32Array.from({ length: CHUNK_ROWS }, (_, slot) => slot)
  for (let from = 0; from < base.length; from += CHUNK_ROWS * dimensions) {
    const part = base.subarray(from, from + CHUNK_ROWS * dimensions)
    kernels.writeRows(layout, part, slots.subarray(0, part.length / dimensions), encoder, rows[0]!, codes[0]!)
  }
}

function* recalls(
  store: Store,
  dataset: Dataset,
  name: string,
  depths: ReadonlyArray<number | undefined>
): Generator<Measured> {
  for (const queries of dataset.queries) {
    for (const rerank of depths) {
      const search = scanner(store, { mode: "pq", k: K, rerank })
      const value = recall(dataset, queries, K, (query) => search(query).rows)
      const which = `${name}, ${queries.name}${rerank === undefined ? "" : `, rerank ${rerank}`}`
      const target = RECALLS[which]
      yield { case: `recall@${K}, ${which}`, value, unit: "of exact", ...(target !== undefined && { target }) }
    }
  }
}

async function* scans(
  store: Store,
  { dimensions, queries: [queries] }: Dataset,
  name: string
): AsyncGenerator<Measured> {
  if (queries === undefined) return
  const options = { mode: "pq", k: K, rerank: 0 } as const
  const stream = streamer(kernels, codeViews(store))
  const best = kernels.isas()[0] ?? "scalar"
  for (const isa of kernels.isas()) {
    kernels.useIsa(isa)
    const scan = inTurn(queries, dimensions, scanner(store, options))
    const tables = inTurn(queries, dimensions, scanner(store, options, { toBlock: 1 }))
    const batch = inTurn(queries, dimensions, scanner(store, options, { count: BATCH }), BATCH)
    const times = await interleave({ stream, scan, tables, batch })
    const against = "streamBytes of codes"
    yield {
      case: `${name}: scan, ${isa}`,
      value: times.scan.p50,
      unit: "us",
      against,
      ratio: ratio(times.scan, times.stream)
    }
    yield { case: `${name}: tables of a query, ${isa}`, value: times.tables.p50, unit: "us" }
    yield { case: `${name}: batch of ${BATCH}, a query, ${isa}`, value: times.batch.p50 / BATCH, unit: "us" }
  }
  kernels.useIsa(best)
}
