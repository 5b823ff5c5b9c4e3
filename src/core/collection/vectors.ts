/** Vectors as callers give them, checked and made ours. */
import { DimensionMismatch, InvalidParameter, InvalidVector } from "../errors.ts"
import type { Kernels } from "../kernels/contract.ts"
import { forEachSliced } from "../slice.ts"
import type { StoreShape } from "../store/memory.ts"

/** Largest magnitude of a component: beyond it f16 has no number, and products of f32 no sum. */
const componentLimit = ({ metric, precision }: StoreShape): number =>
  metric === "cosine" ? Number.MAX_VALUE : precision === "f16" ? 65_504 : 1e15

const REASONS = [undefined, "zero", "not-a-number", "infinite", "out-of-range"] as const

/** Fails with `InvalidVector` when one of `vectors` has no direction or no finite value. */
export const checkVectors = (kernels: Kernels, shape: StoreShape, vectors: Float32Array, firstIndex = 0): void => {
  const fault = kernels.checkVectors(vectors, shape.dimensions, componentLimit(shape))
  if (fault < 0) return
  throw new InvalidVector({ index: firstIndex + Math.floor(fault / 8), reason: REASONS[fault % 8] ?? "not-a-number" })
}

/** Fails unless `vector` is an array or typed array of as many numbers as the collection has dimensions. */
export const checkForm = (shape: StoreShape, vector: ArrayLike<number>, index = 0): void => {
  const wrong = (reason: string) => new InvalidParameter({ parameter: "vector", reason: `vector ${index}: ${reason}` })
  const isTyped = ArrayBuffer.isView(vector) && !(vector instanceof DataView)
  if (!isTyped && !Array.isArray(vector)) throw wrong("wanted an array of numbers")
  if (vector.length !== shape.dimensions) {
    throw new DimensionMismatch({ expected: shape.dimensions, got: vector.length, index })
  }
  if (isTyped && typeof vector[0] === "number") return
  for (let i = 0; i < vector.length; i++) if (typeof vector[i] !== "number") throw wrong(`component ${i} is no number`)
}

/** Memory for the next query: a typed array of its own takes a microsecond to be had, and another to be collected. */
let lent = new Float32Array(0)

/** A vector with the caller's components, which may change at any time. Lent until the next call: whoever keeps it copies it. */
export const lentVector = (kernels: Kernels, shape: StoreShape, vector: ArrayLike<number>): Float32Array => {
  checkForm(shape, vector)
  if (lent.length !== vector.length) lent = new Float32Array(vector.length)
  lent.set(vector)
  checkVectors(kernels, shape, lent)
  return lent
}

/** A vector of ours with the caller's components: it may change its own at any time. */
export const ownVector = (kernels: Kernels, shape: StoreShape, vector: ArrayLike<number>): Float32Array =>
  lentVector(kernels, shape, vector).slice()

/** Components that are copied and checked in some tenths of a millisecond. */
const COMPONENTS_A_STEP = 1 << 17

/** Whether many vectors take so long to be made ours that it is done in turns. */
export const areMany = (vectors: Float32Array): boolean => vectors.length > COMPONENTS_A_STEP

const checkWhole = ({ dimensions }: StoreShape, vectors: Float32Array): void => {
  if (vectors.length % dimensions === 0) return
  throw new DimensionMismatch({ expected: dimensions, got: vectors.length })
}

/** Vectors of ours, row-major, as the caller's are now: it may change its own at any time. */
export const ownVectors = (kernels: Kernels, shape: StoreShape, vectors: Float32Array): Float32Array => {
  checkWhole(shape, vectors)
  const own = vectors.slice()
  checkVectors(kernels, shape, own)
  return own
}

/** As `ownVectors`, in turns: the caller may change its own once this has settled. */
export const ownVectorsInTurns = async (
  kernels: Kernels,
  shape: StoreShape,
  vectors: Float32Array,
  signal: AbortSignal
): Promise<Float32Array> => {
  checkWhole(shape, vectors)
  const { dimensions } = shape
  const own = new Float32Array(vectors.length)
  const rows = Math.ceil(COMPONENTS_A_STEP / dimensions)
  const ownStep = (step: number) => {
    const [from, to] = [step * rows * dimensions, (step + 1) * rows * dimensions]
    // Transferred to another thread, or of a buffer that was resized.
    if (vectors.length !== own.length) {
      throw new InvalidParameter({ parameter: "queries", reason: "were taken away while they were read" })
    }
    own.set(vectors.subarray(from, to), from)
    checkVectors(kernels, shape, own.subarray(from, to), step * rows)
  }
  await forEachSliced(Math.ceil(own.length / dimensions / rows), signal, ownStep, 1)
  return own
}
