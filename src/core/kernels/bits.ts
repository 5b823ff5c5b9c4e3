/** Bits of 32-bit words. */

/** Number of the lowest bit that is set; -1 where none is. `word & (word - 1)` is the word without it. */
export const lowestBit = (word: number): number => 31 - Math.clz32(word & -word)

/** How many bits are set. */
export const bitsSet = (word: number): number => {
  let count = 0
  for (let rest = word; rest !== 0; rest &= rest - 1) count++
  return count
}
