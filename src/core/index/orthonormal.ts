/**
 * Orthonormal rows or columns by Gram-Schmidt in f64, four axes at a time.
 *
 * Only + - * / and square roots in a fixed order: the same bits on every machine.
 */
import type { Uint32Source } from "./pcg64.ts"

/** A vector that keeps less than this of its length is orthogonalised once more: rounding has grown as much. */
const REPEAT_BELOW = 1e-3
/** A vector that keeps less than this of its length depends on those before it: what is left is f32 rounding. */
const DEPENDENT_BELOW = 1e-5

/** Components that are near normal: a sum of four uniform bytes, symmetric about 0. Needs no transcendental function. */
export const drawDirection = (source: Uint32Source, out: Float32Array | Float64Array): void => {
  for (let i = 0; i < out.length; i++) {
    const bits = source()
    out[i] = (bits & 0xff) + ((bits >>> 8) & 0xff) + ((bits >>> 16) & 0xff) + (bits >>> 24) - 510
  }
}

const dot = (x: Float64Array, y: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!
  return sum
}

const projectOne = (x: Float64Array, axis: Float64Array): void => {
  const along = dot(x, axis)
  for (let i = 0; i < x.length; i++) x[i] = x[i]! - along * axis[i]!
}

/** Four axes a pass over `x`: half the loads, and sums that do not wait for each other. */
const projectFour = (x: Float64Array, p: Float64Array, q: Float64Array, r: Float64Array, s: Float64Array): void => {
  let alongP = 0
  let alongQ = 0
  let alongR = 0
  let alongS = 0
  for (let i = 0; i < x.length; i++) {
    const component = x[i]!
    alongP += component * p[i]!
    alongQ += component * q[i]!
    alongR += component * r[i]!
    alongS += component * s[i]!
  }
  for (let i = 0; i < x.length; i++) {
    x[i] = x[i]! - (alongP * p[i]! + alongQ * q[i]!) - (alongR * r[i]! + alongS * s[i]!)
  }
}

/** Makes `x` orthogonal to `basis`; the length that is left. */
const project = (x: Float64Array, basis: ReadonlyArray<Float64Array>): number => {
  const fours = basis.length - (basis.length % 4)
  for (let i = 0; i < fours; i += 4) projectFour(x, basis[i]!, basis[i + 1]!, basis[i + 2]!, basis[i + 3]!)
  for (let i = fours; i < basis.length; i++) projectOne(x, basis[i]!)
  return Math.sqrt(dot(x, x))
}

/** Makes `x` a unit vector orthogonal to `basis`, drawing another as long as it depends on `basis`. */
const extend = (x: Float64Array, basis: ReadonlyArray<Float64Array>, source: Uint32Source): void => {
  let before = Math.sqrt(dot(x, x))
  let after = project(x, basis)
  // Negated, because a vector that is not finite compares false.
  while (!(after > before * DEPENDENT_BELOW)) {
    drawDirection(source, x)
    before = Math.sqrt(dot(x, x))
    after = project(x, basis)
  }
  if (after < before * REPEAT_BELOW) after = project(x, basis)
  for (let i = 0; i < x.length; i++) x[i] = x[i]! / after
}

/**
 * Makes the columns of `matrix`, `rows x columns` row-major, orthonormal in place, or its rows
 * when there are fewer of them. One that depends on those before it, or is not finite, becomes a
 * direction drawn from `source`: the result is orthonormal whatever comes in.
 */
export const orthonormalise = (
  matrix: Float32Array,
  rows: number,
  columns: number,
  source: Uint32Source
): Float32Array => {
  const [count, length, step, stride] = rows < columns ? [rows, columns, columns, 1] : [columns, rows, 1, columns]
  const basis: Array<Float64Array> = []
  for (let v = 0; v < count; v++) {
    const vector = new Float64Array(length)
    for (let i = 0; i < length; i++) vector[i] = matrix[v * step + i * stride]!
    extend(vector, basis, source)
    for (let i = 0; i < length; i++) matrix[v * step + i * stride] = vector[i]!
    basis.push(vector)
  }
  return matrix
}
