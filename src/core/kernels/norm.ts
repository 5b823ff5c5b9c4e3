/**
 * Sums in f64 whose order is fixed, so that their bits are the same on every machine.
 *
 * Sixteen lanes: lane `l` takes the elements `l mod 16` in increasing order, then halves of the
 * lanes are added until one is left. Products of two f32 are exact in f64.
 */

const LANES = 16
const lanes = new Float64Array(LANES)

const sumLanes = (): number => {
  for (let half = LANES / 2; half > 0; half >>= 1) {
    for (let lane = 0; lane < half; lane++) lanes[lane] = lanes[lane]! + lanes[lane + half]!
  }
  return lanes[0]!
}

/** `sum x[i] * y[i]` over `length` elements from `xFrom` and `yFrom`. */
export const dot64 = (x: Float32Array, xFrom: number, y: Float32Array, yFrom: number, length: number): number => {
  lanes.fill(0)
  for (let i = 0; i < length; i++) {
    const lane = i & (LANES - 1)
    lanes[lane] = lanes[lane]! + x[xFrom + i]! * y[yFrom + i]!
  }
  return sumLanes()
}

/** Squared length of `x[from .. from + length)`. */
export const norm2 = (x: Float32Array, from: number, length: number): number => dot64(x, from, x, from, length)

/** Scales `x[from .. from + length)` to unit length. */
export const normalise = (x: Float32Array, from: number, length: number): void => {
  const inverse = 1 / Math.sqrt(norm2(x, from, length))
  for (let i = from; i < from + length; i++) x[i] = x[i]! * inverse
}
