/**
 * Vectors of int8 with one f32 step, and queries of 15 bits against them.
 *
 * A query is split into a high and a low byte so that SIMD variants multiply bytes; both integer
 * dot products are exact in 32 bits up to 8,192 components, so scores are the same everywhere.
 */
import { norm2 } from "./norm.ts"
import { roundTiesEven, roundWithin } from "./rounding.ts"

const LEVELS = 127
/** 127 * 128: the largest 15-bit query whose high byte still fits in int8. */
const QUERY_LEVELS = 16_256
const HIGH = 128

const largest = (x: Float32Array, from: number, length: number): number => {
  let max = 0
  for (let i = from; i < from + length; i++) max = Math.max(max, Math.abs(x[i]!))
  return max
}

/** Writes `x[from .. from + length)` as int8 to `out[to ..]`; the step that widens them again. */
export const quantise = (x: Float32Array, from: number, length: number, out: Int8Array, to: number): number => {
  const max = largest(x, from, length)
  const inverse = Math.fround(LEVELS / max)
  for (let i = 0; i < length; i++) out[to + i] = roundWithin(Math.fround(x[from + i]! * inverse), LEVELS)
  return Math.fround(max / LEVELS)
}

/** A query as 15-bit integers `high * 128 + low`, each worth `step`. */
export interface Int8Query {
  readonly high: Int8Array
  readonly low: Int8Array
  readonly step: number
  /** Squared length of the query before it was quantised. */
  readonly norm2: number
}

export const quantiseQuery = (query: Float32Array): Int8Query => {
  const step = Math.fround(largest(query, 0, query.length) / QUERY_LEVELS)
  const high = new Int8Array(query.length)
  const low = new Int8Array(query.length)
  for (let i = 0; i < query.length; i++) {
    const level = roundWithin(Math.fround(query[i]! / step), QUERY_LEVELS)
    high[i] = roundTiesEven(level / HIGH)
    low[i] = level - HIGH * high[i]!
  }
  return { high, low, step, norm2: norm2(query, 0, query.length) }
}

/** Dot product in f64 of a query with the int8 vector at `from`, whose step is `scale`. */
export const dotInt8 = (query: Int8Query, vectors: Int8Array, from: number, scale: number): number => {
  const { high, low } = query
  let highSum = 0
  let lowSum = 0
  for (let i = 0; i < high.length; i++) {
    const level = vectors[from + i]!
    highSum = (highSum + level * high[i]!) | 0
    lowSum = (lowSum + level * low[i]!) | 0
  }
  return (HIGH * highSum + lowSum) * scale * query.step
}

/** Negative squared distance in f64, never above zero. */
export const l2Int8 = (query: Int8Query, vectors: Int8Array, from: number, scale: number): number => {
  let squares = 0
  for (let i = 0; i < query.high.length; i++) squares = (squares + vectors[from + i]! * vectors[from + i]!) | 0
  return Math.min(0, 2 * dotInt8(query, vectors, from, scale) - query.norm2 - scale * scale * squares)
}
