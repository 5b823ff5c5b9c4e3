/** The encoder of a collection over its life: none, a projection, then one trained on its rows. */
import type { Builder } from "../builder.ts"
import { type Encoder, type EncoderIdentity, factorScaleOf, makeEncoder } from "../index/encoder.ts"
import { TRAINING_ROWS } from "../index/itq.ts"
import type { Kernels } from "../kernels/contract.ts"
import { normalise } from "../kernels/norm.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { forEachSliced } from "../slice.ts"
import { CODE_BITS, SLOTS } from "../store/layout.ts"
import { isLive, newCodeColumn } from "../store/memory.ts"
import type { Store } from "../store/store.ts"
import type { Batch } from "./batch.ts"
import type { CollectionShape } from "./options.ts"

/** Rows that a trained encoder needs at least. */
const TRAIN_AT = 2048
/** Number of an encoder that encodes nothing yet. */
const UNMADE = 0

/** The options that an encoder was made with. */
export const encoderChoice = ({ kind, seed }: EncoderIdentity): Pick<CollectionShape, "codes" | "seed"> => ({
  codes: kind === "published" ? "published" : "trained",
  seed
})

/** What the store of a new collection holds until its first rows tell the scale of its vectors. */
export const unmadeEncoder = (kernels: Kernels, { dimensions, codes, seed }: CollectionShape): Encoder =>
  makeEncoder(kernels, {
    id: UNMADE,
    kind: codes === "published" ? "published" : "projection",
    seed,
    factorScale: 1,
    parameters: new Float32Array(new SharedArrayBuffer(4 * dimensions * (CODE_BITS + 1)))
  })

export const isMade = (encoder: Encoder): boolean => encoder.id !== UNMADE

/** Projections by kind, dimension and seed, kept for the collections that come later. */
const projections = new Map<string, Float32Array<SharedArrayBuffer>>()

const projection = async (builder: Builder["Service"], { kind, seed, dimensions }: Encoder) => {
  const name = `${kind} ${dimensions} ${seed}`
  const known = projections.get(name)
  if (known !== undefined) return known
  const made = await builder.call((build) =>
    kind === "published" ? build.publish(dimensions) : build.project(dimensions, seed)
  )
  projections.set(name, made)
  return made
}

/** Puts the first encoder in force; `sample` holds some of the first rows. */
export const makeFirstEncoder = async (
  store: Store,
  builder: Builder["Service"],
  sample: Float32Array
): Promise<void> => {
  const { encoder, columns } = store.codes
  const { dimensions, metric } = store.shape
  const parameters = await projection(builder, encoder)
  const scale = factorScaleOf(metric, sample, new Float32Array(dimensions))
  store.switchCodes(
    makeEncoder(store.kernels, { ...encoder, id: encoder.id + 1, factorScale: scale, parameters }),
    columns
  )
}

/** Whether a trained encoder is wanted and `rows` suffice for it. */
export const canTrain = (store: Store, shape: CollectionShape, rows: number): boolean =>
  shape.codes === "trained" && shape.precision !== "none" && store.codes.encoder.kind !== "itq" && rows >= TRAIN_AT

/** Live rows to train on, evenly spread, as f32 in shared memory. */
export const storedSample = async (store: Store): Promise<Float32Array> =>
  (await storedRows(store, TRAINING_ROWS)).vectors

/** At most `most` live rows, evenly spread, with their vectors as f32 in shared memory. */
export const storedRows = async (
  store: Store,
  most: number
): Promise<{ readonly rows: Uint32Array; readonly vectors: Float32Array }> => {
  const { dimensions } = store.shape
  const rows: Array<number> = []
  await forEachSliced(store.directory.rows, undefined, (row) => {
    if (isLive(store.segments[Math.floor(row / SLOTS)]!, row % SLOTS)) rows.push(row)
  })
  const vectors = newSample(Math.min(rows.length, most), dimensions)
  const count = vectors.length / dimensions
  const drawn = new Uint32Array(count)
  await forEachSliced(count, undefined, (i) => {
    const row = rows[Math.floor((i * rows.length) / count)]!
    drawn[i] = row
    const segment = store.columns.rows[Math.floor(row / SLOTS)]!
    const vector = vectors.subarray(i * dimensions, (i + 1) * dimensions)
    store.kernels.readVectors(store.columns.layout, Uint32Array.of(row % SLOTS), segment, vector)
  })
  return { rows: drawn, vectors }
}

/** Vectors of a batch to train on, evenly spread, as they will be stored. */
export const batchSample = async (store: Store, batch: Batch): Promise<Float32Array> => {
  const { dimensions, metric } = store.shape
  const sample = newSample(Math.min(batch.count, TRAINING_ROWS), dimensions)
  const count = sample.length / dimensions
  await forEachSliced(count, undefined, (i) => {
    const from = Math.floor((i * batch.count) / count)
    batch.copyVectors(from, from + 1, sample.subarray(i * dimensions))
    if (metric === "cosine") normalise(sample, i * dimensions, dimensions)
  })
  return sample
}

const newSample = (rows: number, dimensions: number) => new Float32Array(new SharedArrayBuffer(rows * dimensions * 4))

/** An encoder trained on `sample`; nothing is encoded with it yet. */
export const train = async (store: Store, builder: Builder["Service"], sample: Float32Array): Promise<Encoder> => {
  const { id, seed } = store.codes.encoder
  const { dimensions, metric } = store.shape
  const parameters = await builder.call((build) => build.train(sample, dimensions, seed))
  const scale = factorScaleOf(metric, sample, parameters.subarray(0, dimensions))
  return makeEncoder(store.kernels, { id: id + 1, kind: "itq", seed, factorScale: scale, parameters })
}

/** Encodes every stored row in the pool and switches to the new codes. No row may be written meanwhile. */
export const reencode = async (store: Store, pool: Pool["Service"], encoder: Encoder): Promise<void> => {
  const columns = store.segments.map(() => newCodeColumn(store.shape))
  const handle = store.handle()
  const { parameters, factorScale } = encoder
  await Promise.all(
    columns.map((column, segment) => {
      const slots = Math.min(SLOTS, store.directory.rows - segment * SLOTS)
      return slots > 0
        ? runOnMemory<void>(pool, "encode", { segment, slots, parameters, factorScale, column }, handle)
        : undefined
    })
  )
  store.switchCodes(encoder, columns)
}
