/**
 * What turns a vector into a code: bit `m` is the sign of component `m` of `(x - mean) P`, or part `s` the
 * number of the centroid nearest to it, rotated or not, in subspace `s` (`pq`). Codes of different encoders cannot be compared, so an
 * encoder carries what tells it from others.
 */
import type { Kernels } from "../kernels/contract.ts"
import { CODE_BITS, type Metric } from "../store/layout.ts"
import { spread } from "./centred.ts"

export const ENCODER_KINDS = ["projection", "published", "itq", "pq"] as const
type EncoderKind = (typeof ENCODER_KINDS)[number]

/** Two encoders that agree here give the same codes. */
export interface EncoderIdentity {
  readonly kind: EncoderKind
  readonly dimensions: number
  /** What projection and training start from. */
  readonly seed: number
  /** Power of two that f16 factors and norms are divided by. */
  readonly factorScale: number
  /** Components of a rotated vector, which product codes are of; absent where vectors are not rotated. */
  readonly rotated?: number
  /** CRC-32C of the parameters. */
  readonly checksum: number
  /** What the training of a codebook measured; absent before it, and for the other kinds. */
  readonly training?: Training
}

export interface Training {
  /** Vectors that it was trained on. */
  readonly rows: number
  /** Mean squared error of reconstructed vectors over the variance of vectors, on rows held out: 0 is perfect. */
  readonly distortion: number
}

export interface Encoder extends EncoderIdentity {
  /** Number of the encoder within its collection; every codes buffer names the one it was made by. */
  readonly id: number
  /** Shared: mean (`dimensions`), then projection (`dimensions x 256`), row-major; of `pq` as in `kernels/pq.ts`. */
  readonly parameters: Float32Array<SharedArrayBuffer>
}

/** Number of an encoder that encodes nothing yet. */
export const UNMADE = 0

export const isMade = (encoder: Encoder): boolean => encoder.id !== UNMADE

/** Mean and projection as kernels take them; without a mean it is zero. */
export const encoderParameters = (projection: Float32Array, mean?: Float32Array): Float32Array<SharedArrayBuffer> => {
  const dimensions = projection.length / CODE_BITS
  const parameters = new Float32Array(new SharedArrayBuffer(4 * (dimensions + projection.length)))
  if (mean) parameters.set(mean)
  parameters.set(projection, dimensions)
  return parameters
}

export const makeEncoder = (
  kernels: Pick<Kernels, "crc32c">,
  fields: Omit<Encoder, "checksum" | "dimensions"> & { readonly dimensions?: number }
): Encoder => {
  const { buffer, byteOffset, byteLength, length } = fields.parameters
  const checksum = kernels.crc32c(new Uint8Array(buffer, byteOffset, byteLength))
  return { ...fields, dimensions: fields.dimensions ?? length / (CODE_BITS + 1), checksum }
}

/** Beyond this, squares of the scale would leave f32. */
const LARGEST_SCALE = 2 ** 60

/**
 * The power of two nearest to the root-mean-square distance of `sample` from `mean`, so that f16
 * factors and norms neither overflow nor lose digits. Vectors of metric cosine have length 1.
 */
export const factorScaleOf = (metric: Metric, sample: Float32Array, mean: Float32Array): number => {
  const length = metric === "cosine" ? 1 : spread(sample, mean)
  let scale = 1
  while (scale < LARGEST_SCALE && length > scale * Math.SQRT2) scale *= 2
  while (scale > 1 / LARGEST_SCALE && length > 0 && length < scale * Math.SQRT1_2) scale /= 2
  return scale
}
