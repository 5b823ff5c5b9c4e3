/** Hamming search in plain JavaScript: the definition that found codes are checked by, and a peer of its own. */
import { codes, type Matrix } from "./peer.ts"

const wordsOf = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)

/** Bits set in a 32-bit word (Warren, Hacker's Delight, 5-1). */
const bits = (word: number): number => {
  const pairs = word - ((word >>> 1) & 0x55555555)
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Finds the `k` nearest rows of one query, best first, the older of equals first. */
export const codeScanner = (base: Matrix): ((query: Uint8Array, k: number) => Int32Array) => {
  const words = wordsOf(codes(base))
  const width = base.width / 4
  return (query, k) => {
    const sought = wordsOf(query)
    const rows = new Int32Array(k)
    const distances = new Int32Array(k).fill(0x7fffffff)
    let worst = 0x7fffffff
    for (let row = 0, at = 0; row < base.rows; row++, at += width) {
      let distance = 0
      for (let i = 0; i < width; i++) distance += bits(words[at + i]! ^ sought[i]!)
      if (distance >= worst) continue
      let place = k - 1
      for (; place > 0 && distances[place - 1]! > distance; place--) {
        distances[place] = distances[place - 1]!
        rows[place] = rows[place - 1]!
      }
      distances[place] = distance
      rows[place] = row
      worst = distances[k - 1]!
    }
    return rows
  }
}

/** The `k` nearest rows of every query. */
export const nearestCodes = (base: Matrix, queries: Matrix, k: number): Int32Array => {
  const scan = codeScanner(base)
  const found = new Int32Array(queries.rows * k)
  for (let i = 0; i < queries.rows; i++) {
    found.set(scan(codes(queries).subarray(i * queries.width, (i + 1) * queries.width), k), i * k)
  }
  return found
}

/** Distance of two codes. */
export const hamming = (a: Uint8Array, b: Uint8Array): number => {
  let distance = 0
  for (let i = 0; i < a.length; i++) distance += bits(a[i]! ^ b[i]!)
  return distance
}
