/** The encoder of a collection over its life: none, a projection, then one trained on its rows. */
import { MessageChannel, type MessagePort } from "node:worker_threads"
import * as Comlink from "comlink"
import type { Builder } from "../builder.ts"
import { codebookRows } from "../index/codebook.ts"
import { type Encoder, type EncoderIdentity, factorScaleOf, isMade, makeEncoder, UNMADE } from "../index/encoder.ts"
import { TRAINING_ROWS } from "../index/itq.ts"
import type { Kernels } from "../kernels/contract.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import type { ImageIdentity } from "../store/image.ts"
import { type PqShape, parameterCount, SLOTS } from "../store/layout.ts"
import type { StoreShape } from "../store/memory.ts"
import type { Store } from "../store/store.ts"
import { type CollectionShape, storeShape } from "./options.ts"

/** Rows that a trained encoder needs at least. */
const TRAIN_AT = 2048
/** A codebook that had fewer rows than it wanted is trained again when there are so many times as many. */
const RETRAIN_GROWTH = 8

/** Called with the fraction of a training that is done, in (0, 1]. */
export type OnTraining = (fraction: number) => void

/** The options that an encoder was made with. */
const encoderChoice = (
  { kind, seed }: EncoderIdentity,
  pq: PqShape | undefined
): Pick<CollectionShape, "codes" | "seed"> => ({
  codes: pq !== undefined ? { pq } : kind === "published" ? "published" : "trained",
  seed
})

/** What the store of a new collection holds until its first rows tell the scale of its vectors. */
export const unmadeEncoder = (kernels: Kernels, shape: CollectionShape): Encoder => {
  const { dimensions, pq } = storeShape(shape)
  return makeEncoder(kernels, {
    id: UNMADE,
    kind: pq !== undefined ? "pq" : shape.codes === "published" ? "published" : "projection",
    seed: shape.seed,
    dimensions,
    factorScale: 1,
    parameters: new Float32Array(new SharedArrayBuffer(4 * parameterCount(dimensions, pq)))
  })
}

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

/** Whether rows can be written with an encoder that needs no training. */
export const needsFirstEncoder = ({ shape, codes }: Store): boolean => shape.pq === undefined && !isMade(codes.encoder)

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

/** Whether `rows` stored vectors suffice for an encoder that is wanted. */
export const canTrain = (store: Store, { codes, precision }: CollectionShape, rows: number): boolean => {
  const { encoder } = store.codes
  if (precision === "none" || codes === "published" || rows < TRAIN_AT) return false
  if (!isMade(encoder) || encoder.kind === "projection") return true
  const trained = encoder.training?.rows ?? Number.POSITIVE_INFINITY
  return trained < trainingRows(store.shape) && rows >= RETRAIN_GROWTH * trained
}

/** Vectors of a sample that are worth having. */
export const trainingRows = ({ pq }: StoreShape): number => (pq === undefined ? TRAINING_ROWS : codebookRows(pq))

/** An encoder trained on `sample`, which is in shared memory; nothing is encoded with it yet. */
export const train = async (
  { codes, shape, kernels }: Store,
  builder: Builder["Service"],
  sample: Float32Array,
  onProgress: OnTraining = () => undefined
): Promise<Encoder> => {
  const { id, seed } = codes.encoder
  const { dimensions, metric, pq } = shape
  if (pq !== undefined) {
    const made = await reporting(onProgress, (progress) =>
      builder.call((build) => build.trainCodebook(sample, dimensions, pq, seed, progress))
    )
    return makeEncoder(kernels, { id: id + 1, kind: "pq", seed, dimensions, ...made })
  }
  const parameters = await reporting(onProgress, (progress) =>
    builder.call((build) => build.train(sample, dimensions, seed, progress))
  )
  const scale = factorScaleOf(metric, sample, parameters.subarray(0, dimensions))
  return makeEncoder(kernels, { id: id + 1, kind: "itq", seed, factorScale: scale, parameters })
}

/**
 * Hears of the progress of `work` through a port, which the worker closes at the end. A callback as a proxy of comlink
 * would be an event of the web here: Node loads all of undici for the first of those, which holds the event loop for 25 ms.
 */
const reporting = async <A>(onProgress: OnTraining, work: (progress: MessagePort) => Promise<A>): Promise<A> => {
  const { port1: heard, port2: told } = new MessageChannel()
  heard.on("message", (fraction: number) => {
    // One that fails is the caller's own affair.
    Promise.resolve(fraction)
      .then(onProgress)
      .catch(() => undefined)
  })
  // It is the call that keeps the process alive.
  heard.unref()
  try {
    return await work(Comlink.transfer(told, [told]))
  } catch (error) {
    heard.close()
    throw error
  }
}

/** Encodes every stored row in the pool and switches to the new codes. No row may be written meanwhile. */
export const reencode = async (store: Store, pool: Pool["Service"], encoder: Encoder): Promise<void> => {
  const columns = store.segments.map(() => store.newCodes())
  const handle = store.handle()
  const { parameters, factorScale, rotated = 0 } = encoder
  if (store.shape.precision !== "none") {
    await Promise.all(
      columns.map((column, segment) => {
        const slots = Math.min(SLOTS, store.directory.rows - segment * SLOTS)
        return slots > 0
          ? runOnMemory<void>(pool, "encode", { segment, slots, parameters, factorScale, rotated, column }, handle)
          : undefined
      })
    )
  }
  store.switchCodes(encoder, columns)
}

/** The shape of the collection that an image is of. */
export const shapeOfImage = ({ shape: { pq, ...shape }, encoder, embedder }: ImageIdentity): CollectionShape => ({
  ...shape,
  ...encoderChoice(encoder, pq),
  embedder
})
