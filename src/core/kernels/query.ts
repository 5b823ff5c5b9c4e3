/** A query made ready for the stages of one search. */
import { productEstimator, type ScoreTables } from "./adc.ts"
import type { SearchPlan } from "./contract.ts"
import { type EncoderScratch, encode, encoderScratch, project, signByte } from "./encode.ts"
import { byteTable, fastscanTable } from "./fastscan.ts"
import { hammingTable } from "./hamming.ts"
import { type Int8Query, quantiseQuery } from "./int8.ts"
import { dot64, norm2, normalise } from "./norm.ts"
import { CODE_BITS, CODE_BYTES, METRIC, MODE, PRECISION } from "./shape.ts"

const { fround } = Math

/** What turns the sum of table entries of a row into its estimated score. */
export interface Estimator {
  /** 256 entries for each byte of a code. */
  readonly table: Uint8Array
  readonly step: number
  readonly low: number
  readonly bias: number
  /** The query in the coordinates of the codes. */
  readonly projected: Float32Array
  /** The unrounded tables of product codes. */
  readonly scores?: ScoreTables
}

export interface Query {
  /** Of unit length for cosine. */
  readonly vector: Float32Array
  /** Set when stored vectors are int8. */
  readonly int8: Int8Query | undefined
  /** Set unless the mode is exact. */
  readonly estimator: Estimator | undefined
}

/** The queries of a search, each prepared for what its plan needs. */
export const prepareQueries = (plan: SearchPlan, queries: Float32Array, encoder: Float32Array): Array<Query> => {
  const scratch = encoderScratch(plan.dimensions)
  return Array.from({ length: queries.length / plan.dimensions }, (_, index) => {
    const vector = queries.slice(index * plan.dimensions, (index + 1) * plan.dimensions)
    if (plan.metric === METRIC.cosine) normalise(vector, 0, vector.length)
    return {
      vector,
      int8: plan.precision === PRECISION.int8 ? quantiseQuery(vector) : undefined,
      estimator: prepareEstimator(plan, vector, encoder, scratch)
    }
  })
}

const prepareEstimator = (
  plan: SearchPlan,
  vector: Float32Array,
  encoder: Float32Array,
  scratch: EncoderScratch
): Estimator | undefined => {
  switch (plan.mode) {
    case MODE.flat:
    case MODE.ivf:
    case MODE.pq:
      return plan.subspaces > 0
        ? productEstimator(plan, vector, encoder)
        : flatEstimator(plan, vector, encoder, scratch)
    case MODE.binary:
      return binaryEstimator(vector, encoder, scratch)
    default:
      return undefined
  }
}

/**
 * Cosine and dot: `<x, q> = <x - mean, q> + <mean, q>`. l2: `-|x - q|^2` with both less the mean is
 * `2 <r, u> - |r|^2 - |u|^2`. A row's factor times `sum * step + low` estimates the product.
 */
const flatEstimator = (
  plan: SearchPlan,
  vector: Float32Array,
  encoder: Float32Array,
  scratch: EncoderScratch
): Estimator => {
  const { dimensions, factorScale } = plan
  const isL2 = plan.metric === METRIC.l2
  if (isL2) encode(vector, 1, encoder, scratch)
  else {
    scratch.residuals.set(vector)
    project(scratch, 1, encoder)
  }
  const { nibbles, step, low } = fastscanTable(scratch.projected)
  const scale = (isL2 ? 2 : 1) * factorScale
  return {
    table: byteTable(nibbles),
    step: fround(step * scale),
    low: fround(low * scale),
    bias: isL2 ? -fround(norm2(scratch.residuals, 0, dimensions)) : fround(dot64(encoder, 0, vector, 0, dimensions)),
    projected: scratch.projected.slice(0, CODE_BITS)
  }
}

/** `1 - distance / 128`: the mean product of two codes' signs. */
const binaryEstimator = (vector: Float32Array, encoder: Float32Array, scratch: EncoderScratch): Estimator => {
  encode(vector, 1, encoder, scratch)
  const code = Uint8Array.from({ length: CODE_BYTES }, (_, g) => signByte(scratch.projected, 0, g))
  const projected = scratch.projected.slice(0, CODE_BITS)
  return { table: hammingTable(code), step: -2 / CODE_BITS, low: 1, bias: 0, projected }
}
