/** Rounding to integers the way every ISA does it: ties to even. */

/** At this magnitude a double has no fraction bits left, so adding it rounds the fraction away. */
const FRACTIONLESS = 1.5 * 2 ** 52

/** `value` to the nearest integer, ties to even, for magnitudes below 2^51. */
export const roundTiesEven = (value: number): number => value + FRACTIONLESS - FRACTIONLESS

/** `value` rounded and held within `-limit..limit`; what is not a number becomes 0. */
export const roundWithin = (value: number, limit: number): number => {
  if (value >= limit) return limit
  if (value <= -limit) return -limit
  return Number.isNaN(value) ? 0 : roundTiesEven(value)
}
