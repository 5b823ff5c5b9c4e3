/** Hamming distance of 256-bit codes, as a byte table that the fast-scan kernel sums. */
import { CODE_BYTES } from "./shape.ts"

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => {
  let ones = 0
  for (let rest = byte; rest > 0; rest >>= 1) ones += rest & 1
  return ones
})

/** `table[g * 256 + byte]` is the distance of byte `g` of a code to byte `g` of the query's. */
export const hammingTable = (code: Uint8Array): Uint8Array => {
  const table = new Uint8Array(CODE_BYTES * 256)
  for (let g = 0; g < CODE_BYTES; g++) {
    for (let byte = 0; byte < 256; byte++) table[g * 256 + byte] = ONES[code[g]! ^ byte]!
  }
  return table
}
