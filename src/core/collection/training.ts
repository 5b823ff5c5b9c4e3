/** When codes are trained: on a batch, in the background once enough rows are there, or on a sample of the caller's. */
import * as Effect from "effect/Effect"
import { object, optionalFunction } from "../checked.ts"
import { DimensionMismatch, InvalidParameter, NotTrained, type SabineError } from "../errors.ts"
import { isMade } from "../index/encoder.ts"
import { abortable, attempt, limited } from "../lift.ts"
import type { Batch } from "./batch.ts"
import { canTrain, makeFirstEncoder, needsFirstEncoder, type OnTraining, reencode, train } from "./encoding.ts"
import { batchSample, storedSample } from "./samples.ts"
import { checkVectors } from "./vectors.ts"
import type { WritingParts } from "./writing.ts"

export interface TrainOptions {
  /** Called with the fraction that is done, in (0, 1]. */
  readonly onProgress?: OnTraining | undefined
  /** Gives the training up: the codes stay what they were. */
  readonly signal?: AbortSignal | undefined
}

export interface Training {
  /**
   * Trains the codes on a sample of at least 256 vectors, row-major: 64 a centroid are used, or 4,096 for signs.
   * In a folder an image is written, which keeps what was learned. Needed where vectors are not kept (`precision: "none"`) and codes are `pq`, before the first entry. With
   * vectors every entry is encoded anew; without, `InvalidParameter` when there are entries.
   */
  readonly train: (sample: Float32Array, options?: TrainOptions) => Effect.Effect<void, SabineError>
}

/** Vectors that a sample of the caller's has at least. */
const LEAST_SAMPLE = 256

/** Puts the encoder in force that the first row is written with, where there is none. */
export const firstEncoder = async ({ store, builder }: WritingParts, sample: Float32Array): Promise<void> => {
  if (needsFirstEncoder(store)) await makeFirstEncoder(store, builder, sample)
}

/** Fails where rows would be kept by product codes alone and there is no codebook. */
export const requireCodes = ({ name, store: { shape, codes } }: WritingParts): void => {
  if (shape.pq !== undefined && shape.precision === "none" && !isMade(codes.encoder))
    throw new NotTrained({ collection: name })
}

/** What rows are encoded by. */
export type EncodingParts = Pick<WritingParts, "store" | "shape" | "builder" | "pool">

/** Puts the encoder in force that a batch is to be written with: trained on the batch when it is large enough. */
export const encodeBatch = async (
  { store, shape, builder, pool }: Pick<WritingParts, "store" | "shape" | "builder" | "pool">,
  batch: Batch
): Promise<void> => {
  if (canTrain(store, shape, batch.count)) {
    await reencode(store, pool, await train(store, builder, await batchSample(store, batch)))
  } else if (needsFirstEncoder(store)) {
    await makeFirstEncoder(store, builder, await batchSample(store, batch))
  }
}

/** Encodes every row of a store whose codes do not hold: with its encoder, or with one that is made of its vectors. */
export const encodeAnew = async ({ store, shape, builder, pool }: EncodingParts): Promise<void> => {
  const { live } = store.directory
  if (live === 0) return
  if (canTrain(store, shape, live)) return reencode(store, pool, await train(store, builder, await storedSample(store)))
  if (needsFirstEncoder(store)) await makeFirstEncoder(store, builder, await storedSample(store))
  if (isMade(store.codes.encoder)) await reencode(store, pool, store.codes.encoder)
}

/** Starts the training once enough rows are there, and the index after it; adds and searches go on meanwhile. */
export const backgroundTraining = ({
  store,
  shape,
  builder,
  pool,
  background,
  exclusively,
  indexInBackground
}: WritingParts): (() => void) => {
  let started = false
  const run = Effect.gen(function* () {
    const encoder = yield* abortable(async () => train(store, builder, await storedSample(store)))
    yield* exclusively(
      abortable(() => (canTrain(store, shape, store.directory.live) ? reencode(store, pool, encoder) : done))
    )
    indexInBackground()
  }).pipe(
    // The codes stay what they are: searches are right, only slower to reach the same recall.
    Effect.catch((error) => Effect.logWarning("training the codes failed", error)),
    Effect.ensuring(Effect.sync(() => (started = false)))
  )
  return () => {
    if (started) return
    if (!canTrain(store, shape, store.directory.live)) return indexInBackground()
    started = true
    background(run)
  }
}

const done = Promise.resolve()

/** Trains on a sample of the caller's while writers wait and readers do not; lists and calibration follow. */
export const trainOn =
  (parts: WritingParts): Training["train"] =>
  (sample, options = {}) =>
    Effect.flatMap(
      attempt(() => {
        const { onProgress, signal } = object("options", options)
        return { onProgress: optionalFunction("onProgress", onProgress), signal, vectors: checkedSample(parts, sample) }
      }),
      ({ onProgress, signal, vectors }) =>
        limited(
          Effect.andThen(
            // Lists and what was measured went with the codes before, and the next write may be far.
            Effect.tap(
              parts.exclusively(
                abortable(async (aborted) => {
                  const { store, builder, pool } = parts
                  requireRetrainable(parts)
                  const encoder = await train(store, builder, await batchSample(store, vectors, aborted), onProgress)
                  aborted.throwIfAborted()
                  await reencode(store, pool, encoder)
                })
              ),
              () => Effect.sync(parts.indexInBackground)
            ),
            abortable(async () => parts.log?.save())
          ),
          { signal }
        )
    )

/** The sample as vectors to draw from. */
const checkedSample = ({ shape, store }: WritingParts, sample: Float32Array) => {
  const { dimensions } = shape
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  if (shape.codes === "published") throw wrong("codes", "published codes are not trained")
  if (!(sample instanceof Float32Array)) throw wrong("sample", `wanted a Float32Array of rows x ${dimensions}`)
  if (sample.length % dimensions !== 0) throw new DimensionMismatch({ expected: dimensions, got: sample.length })
  const count = sample.length / dimensions
  if (count < LEAST_SAMPLE) throw wrong("sample", `wanted ${LEAST_SAMPLE} vectors or more, got ${count}`)
  checkVectors(store.kernels, store.shape, sample)
  const copyVectors = (from: number, to: number, out: Float32Array) =>
    out.set(sample.subarray(from * dimensions, to * dimensions))
  return { count, copyVectors }
}

/** Fails where codes could not be made again because their vectors were not kept. */
const requireRetrainable = ({ shape, store }: WritingParts): void => {
  if (shape.precision !== "none" || store.directory.live === 0) return
  const reason = "codes of entries without vectors cannot be made again: train before the first add"
  throw new InvalidParameter({ parameter: "precision", reason })
}
