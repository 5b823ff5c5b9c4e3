/** How many bits of a code each of many components deserves, by its variance. */

/** Halvings that the fraction of a logarithm is found to. */
const LOGARITHM_BITS = 20

/** The logarithm to base 2 of a positive number, with nothing but products. */
const log2 = (x: number): number => {
  let whole = 0
  let rest = x
  for (; rest >= 2; rest /= 2) whole++
  for (; rest < 1; rest *= 2) whole--
  let fraction = 0
  for (let bit = 1; bit <= LOGARITHM_BITS; bit++) {
    rest *= rest
    if (rest >= 2) {
      rest /= 2
      fraction += 2 ** -bit
    }
  }
  return whole + fraction
}

/** What is taken for no variance at all, relative to the largest. */
const NO_VARIANCE = 2 ** -40

/**
 * Bits that a code of `size` bits should spend on each of `variances`, which decrease: half the logarithm of how far it
 * is above the level that they all drop to (reverse water-filling). Those that have none are left out; those at the
 * end that keep the number at `least` have less than none.
 */
export const bitsOf = (variances: ArrayLike<number>, size: number, least: number): ReadonlyArray<number> => {
  const floor = Math.max(variances[0]! * NO_VARIANCE, Number.MIN_VALUE)
  const halves = Array.from(variances, (variance) => log2(Math.max(variance, floor)) / 2)
  let count = 0
  let sum = 0
  // One more is above the level while what the others are above it takes no more than all bits.
  while (count < halves.length && (count < 1 || sum - count * halves[count]! < size)) sum += halves[count++]!
  const level = (sum - size) / count
  return halves.slice(0, Math.max(count, least)).map((half) => half - level)
}
