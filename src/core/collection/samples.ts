/** Vectors to train on, in shared memory, as they are or will be stored. */
import { normalise } from "../kernels/norm.ts"
import { forEachSliced } from "../slice.ts"
import { SLOTS } from "../store/layout.ts"
import { isLive } from "../store/memory.ts"
import type { Store } from "../store/store.ts"
import type { Batch } from "./batch.ts"
import { trainingRows } from "./encoding.ts"
import { checkVectors } from "./vectors.ts"

/** Live rows to train on, evenly spread. */
export const storedSample = async (store: Store): Promise<Float32Array> =>
  (await storedRows(store, trainingRows(store.shape))).vectors

/** Rows that are live, in order. */
export const liveRows = async (store: Store): Promise<Uint32Array> => {
  const rows = new Uint32Array(store.directory.live)
  let count = 0
  await forEachSliced(store.directory.rows, undefined, (row) => {
    if (isLive(store.segments[Math.floor(row / SLOTS)]!, row % SLOTS)) rows[count++] = row
  })
  return rows.subarray(0, count)
}

/** At most `most` of `rows`, evenly spread. */
export const spread = (rows: Uint32Array, most: number): Uint32Array => {
  const count = Math.min(rows.length, most)
  return Uint32Array.from({ length: count }, (_, i) => rows[Math.floor((i * rows.length) / count)]!)
}

/** At most `most` live rows, evenly spread, with their vectors. */
export const storedRows = async (
  store: Store,
  most: number
): Promise<{ readonly rows: Uint32Array; readonly vectors: Float32Array }> => {
  const { dimensions } = store.shape
  const rows = spread(await liveRows(store), most)
  const vectors = newSample(rows.length, dimensions)
  await forEachSliced(rows.length, undefined, (i) => {
    const row = rows[i]!
    const segment = store.columns.rows[Math.floor(row / SLOTS)]!
    const vector = vectors.subarray(i * dimensions, (i + 1) * dimensions)
    store.kernels.readVectors(store.columns.layout, Uint32Array.of(row % SLOTS), segment, vector)
  })
  return { rows, vectors }
}

/** Vectors of a batch, evenly spread. */
export const batchSample = async (
  store: Store,
  batch: Pick<Batch, "count" | "copyVectors">,
  signal?: AbortSignal
): Promise<Float32Array> => {
  const { dimensions, metric } = store.shape
  const sample = newSample(Math.min(batch.count, trainingRows(store.shape)), dimensions)
  const count = sample.length / dimensions
  await forEachSliced(count, signal, (i) => {
    const from = Math.floor((i * batch.count) / count)
    const vector = sample.subarray(i * dimensions, (i + 1) * dimensions)
    batch.copyVectors(from, from + 1, vector)
    // The caller may have changed its own since the whole batch was checked: one number that is none spoils all codes.
    checkVectors(store.kernels, store.shape, vector, from)
    if (metric === "cosine") normalise(sample, i * dimensions, dimensions)
  })
  return sample
}

const newSample = (rows: number, dimensions: number) => new Float32Array(new SharedArrayBuffer(rows * dimensions * 4))
