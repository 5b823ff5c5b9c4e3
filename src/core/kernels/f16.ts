/** IEEE 754 half precision, which Node 22 has no typed array for. */

/** Largest finite half. */
export const F16_MAX = 65_504

const scratch = new Float32Array(1)
const bits = new Uint32Array(scratch.buffer)

/** Half way between the largest half and the next power of two: ties to even make it infinite. */
const OVERFLOW = 65_520
/** Smallest normal half. */
const SUBNORMAL_LIMIT = 2 ** -14
/** f32 bits of 0.5, whose unit in the last place is the step of half subnormals, 2^-24. */
const HALF_BITS = 0x3f00_0000
const INFINITY_BITS = 0x7f80_0000
/** The difference of the exponent biases, 127 - 15, in place. */
const REBIAS = 112 << 23

/** The half nearest to an f32 value, ties to even; beyond the range, infinity. */
export const toF16 = (value: number): number => {
  scratch[0] = value
  const sign = (bits[0]! >>> 16) & 0x8000
  const magnitude = bits[0]! & 0x7fff_ffff
  if (magnitude > INFINITY_BITS) return sign | 0x7e00
  if (Math.abs(value) >= OVERFLOW) return sign | 0x7c00
  if (Math.abs(value) < SUBNORMAL_LIMIT) {
    scratch[0] = Math.abs(value) + 0.5
    return sign | (bits[0]! - HALF_BITS)
  }
  const roundUp = 0x0fff + ((magnitude >>> 13) & 1)
  return sign | ((magnitude - REBIAS + roundUp) >>> 13)
}

/** The value of a half. */
const fromF16 = (half: number): number => {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 0x1f
  const fraction = half & 0x03ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

let values: Float32Array | undefined

/** The value of every half by its bits, made on first use: a look-up is what a scan can afford. */
export const f16Values = (): Float32Array => {
  values ??= Float32Array.from({ length: 65_536 }, (_, half) => fromF16(half))
  return values
}
