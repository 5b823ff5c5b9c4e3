/** Vectors as callers give them, checked and made ours. */
import { DimensionMismatch, InvalidParameter, InvalidVector } from "../errors.ts"
import type { Kernels } from "../kernels/contract.ts"
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

/** A vector of ours with the caller's components: it may change its own at any time. */
export const ownVector = (kernels: Kernels, shape: StoreShape, vector: ArrayLike<number>): Float32Array => {
  checkForm(shape, vector)
  const own = new Float32Array(vector)
  checkVectors(kernels, shape, own)
  return own
}
