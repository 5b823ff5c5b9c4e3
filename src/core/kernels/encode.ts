/** Vectors to 256-bit sign codes with one factor each: the RaBitQ estimator's side of a row. */
import { BATCH } from "./batch.ts"
import type { CodeColumns } from "./columns.ts"
import type { SegmentLayout } from "./contract.ts"
import { F16_MAX, toF16 } from "./f16.ts"
import { matmul } from "./matmul.ts"
import { norm2 } from "./norm.ts"
import { requireLayout } from "./refusal.ts"
import { BLOCK, CODE_BITS, CODE_BLOCK_BYTES, CODE_BYTES, METRIC } from "./shape.ts"

const { abs, fround } = Math

/** Scratch of one batch of vectors on their way to codes. */
export interface EncoderScratch {
  /** What is projected: vectors less the mean, `BATCH x dimensions`. */
  readonly residuals: Float32Array
  /** Their projections, `BATCH x 256`. */
  readonly projected: Float32Array
}

export const encoderScratch = (dimensions: number): EncoderScratch => ({
  residuals: new Float32Array(BATCH * dimensions),
  projected: new Float32Array(BATCH * CODE_BITS)
})

/** Refuses an encoder that is not `mean (d)` then `projection (d x 256)`. */
export const requireEncoder = (encoder: Float32Array, dimensions: number): void =>
  requireLayout(encoder.length === dimensions * (CODE_BITS + 1), "the encoder is not of this dimension")

/** Fills the residuals of `count` vectors, at most `BATCH`, and their projections. */
export const encode = (vectors: Float32Array, count: number, encoder: Float32Array, scratch: EncoderScratch): void => {
  const dimensions = scratch.residuals.length / BATCH
  for (let from = 0; from < count * dimensions; from += dimensions) {
    for (let i = 0; i < dimensions; i++) scratch.residuals[from + i] = vectors[from + i]! - encoder[i]!
  }
  project(scratch, count, encoder)
}

/** Projects the first `count` residuals. */
export const project = (scratch: EncoderScratch, count: number, encoder: Float32Array): void => {
  const dimensions = scratch.residuals.length / BATCH
  matmul(scratch.residuals, encoder.subarray(dimensions), scratch.projected, count, dimensions, CODE_BITS)
}

/** Byte `g` of the sign code of the projection at `from`. */
export const signByte = (projected: Float32Array, from: number, g: number): number => {
  let byte = 0
  for (let bit = 0; bit < 8; bit++) byte |= projected[from + 8 * g + bit]! >= 0 ? 1 << bit : 0
  return byte
}

/** Writes the code of vector `index` of the batch in `scratch` to `slot`. */
export const storeCode = (
  layout: SegmentLayout,
  scratch: EncoderScratch,
  index: number,
  columns: CodeColumns,
  slot: number
): void => {
  const at = Math.floor(slot / BLOCK) * CODE_BLOCK_BYTES + (slot % BLOCK)
  const from = index * CODE_BITS
  for (let g = 0; g < CODE_BYTES; g++) columns.codes[at + g * BLOCK] = signByte(scratch.projected, from, g)
  const factor = fround(rabitqFactor(scratch.projected, from) / layout.factorScale)
  columns.factors[slot] = toF16(clamp(factor))
  if (layout.metric === METRIC.l2) {
    const squared = fround(norm2(scratch.residuals, index * layout.dimensions, layout.dimensions))
    const norm = fround(squared / (layout.factorScale * layout.factorScale))
    columns.norms[slot] = toF16(clamp(norm))
  }
}

/** What is beyond the largest half, or not a number, becomes the largest half. */
const clamp = (value: number): number => (value < F16_MAX ? value : F16_MAX)

const LANES = 16
const magnitudes = new Float32Array(LANES)
const squares = new Float32Array(LANES)

/** `||v||^2 / ||v||_1` in f32, summed in the sixteen lanes of `norm.ts`; 0 for the zero vector. */
const rabitqFactor = (v: Float32Array, from: number): number => {
  magnitudes.fill(0)
  squares.fill(0)
  for (let m = 0; m < CODE_BITS; m++) {
    const lane = m % LANES
    const value = v[from + m]!
    magnitudes[lane] = magnitudes[lane]! + abs(value)
    squares[lane] = squares[lane]! + fround(value * value)
  }
  for (let half = LANES / 2; half > 0; half >>= 1) {
    for (let lane = 0; lane < half; lane++) {
      magnitudes[lane] = magnitudes[lane]! + magnitudes[lane + half]!
      squares[lane] = squares[lane]! + squares[lane + half]!
    }
  }
  return magnitudes[0] === 0 ? 0 : fround(squares[0]! / magnitudes[0]!)
}
