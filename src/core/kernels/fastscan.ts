/**
 * Fast-scan: the dot product of a projected query with sign codes, four bits at a time.
 *
 * For each of the 64 groups of four bits the query has 16 partial sums, quantised to 6 bits. SIMD
 * variants look a nibble up in a register; here two groups are joined into one table a byte.
 */
import { roundWithin } from "./rounding.ts"
import { BLOCK, CODE_BYTES } from "./shape.ts"

const GROUPS = 2 * CODE_BYTES
const NIBBLES = 16
/** Largest entry of a table: four of them add up in a byte. */
const LEVELS = 63

const { abs, fround, max } = Math

/** A sum `s` of table entries stands for the dot product `s * step + low`. */
interface FastscanTable {
  /** Entries of group `g` for nibble `v` at `g * 16 + v`. */
  readonly nibbles: Uint8Array
  readonly step: number
  readonly low: number
}

/** Table of the projected query `y`. Bit `b` of the nibble of group `g` is the sign of `y[4g + b]`. */
export const fastscanTable = (y: Float32Array): FastscanTable => {
  const nibbles = new Uint8Array(GROUPS * NIBBLES)
  const reach = new Float32Array(GROUPS)
  let low = 0
  let range = 0
  for (let g = 0; g < GROUPS; g++) {
    const a = 4 * g
    reach[g] = fround(fround(abs(y[a]!) + abs(y[a + 1]!)) + abs(y[a + 2]!)) + abs(y[a + 3]!)
    low = fround(low - reach[g]!)
    range = max(range, fround(reach[g]! * 2))
  }
  if (range === 0) return { nibbles, step: 0, low: 0 }
  const inverse = fround(LEVELS / range)
  const sums = new Float32Array(NIBBLES)
  for (let g = 0; g < GROUPS; g++) {
    signedSums(y, 4 * g, sums)
    for (let v = 0; v < NIBBLES; v++) {
      const level = fround(fround(sums[v]! + reach[g]!) * inverse)
      nibbles[g * NIBBLES + v] = max(0, roundWithin(level, LEVELS))
    }
  }
  return { nibbles, step: fround(range / LEVELS), low }
}

/** `sums[v]`: the four values from `from`, each added where its bit of `v` is set, else subtracted. */
const signedSums = (y: Float32Array, from: number, sums: Float32Array): void => {
  sums[0] = -fround(fround(fround(y[from]! + y[from + 1]!) + y[from + 2]!) + y[from + 3]!)
  for (let bit = 0; bit < 4; bit++) {
    const flip = fround(2 * y[from + bit]!)
    for (let v = 0; v < 1 << bit; v++) sums[v + (1 << bit)] = sums[v]! + flip
  }
}

/** The nibble tables of groups `2g` (low nibble) and `2g + 1` (high) as one table a byte. */
export const byteTable = (nibbles: Uint8Array): Uint8Array => {
  const bytes = nibbles.length / (2 * NIBBLES)
  const table = new Uint8Array(bytes * 256)
  for (let g = 0; g < bytes; g++) {
    const even = 2 * g * NIBBLES
    const odd = even + NIBBLES
    for (let byte = 0; byte < 256; byte++) {
      table[g * 256 + byte] = nibbles[even + (byte & 15)]! + nibbles[odd + (byte >> 4)]!
    }
  }
  return table
}

/** `sums[j]`, modulo 65,536: the table entries of the code of slot `j` of the block at `from`, added up. */
export const sumBlock = (table: Uint8Array, codes: Uint8Array, from: number, sums: Uint16Array): void => {
  const fours = table.length & ~1023
  for (let slot = 0; slot < BLOCK; slot++) {
    let even = 0
    let odd = 0
    let entry = 0
    let at = from + slot
    for (; entry < fours; entry += 1024, at += 4 * BLOCK) {
      even += table[entry + codes[at]!]! + table[entry + 512 + codes[at + 2 * BLOCK]!]!
      odd += table[entry + 256 + codes[at + BLOCK]!]! + table[entry + 768 + codes[at + 3 * BLOCK]!]!
    }
    for (; entry < table.length; entry += 256, at += BLOCK) even += table[entry + codes[at]!]!
    sums[slot] = even + odd
  }
}
