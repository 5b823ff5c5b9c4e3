/** Cosines of pieces of words by the codes of their vectors: sums of integers, the same everywhere. */
import type { StaticTable } from "../../embed/table.ts"

/** Pairs of pieces that are remembered: a few words make up most of what is asked. */
const REMEMBERED = 16_384
/** More than any piece has for a number: a pair of them is one number of 31 bits. */
const PIECE_SPACE = 2 ** 15

export class PieceCosines {
  readonly #table: StaticTable
  readonly #weights: Float32Array
  readonly #pairs = new Int32Array(REMEMBERED).fill(-1)
  readonly #cosines = new Float32Array(REMEMBERED)

  /** `weights` are the lengths of the vectors of all pieces. */
  constructor(table: StaticTable, weights: Float32Array) {
    this.#table = table
    this.#weights = weights
  }

  of(a: number, b: number): number {
    const pair = a < b ? a * PIECE_SPACE + b : b * PIECE_SPACE + a
    const slot = (Math.imul(pair, 0x9e3779b1) >>> 16) & (REMEMBERED - 1)
    if (this.#pairs[slot] !== pair) {
      this.#cosines[slot] = this.#computed(a, b)
      this.#pairs[slot] = pair
    }
    return this.#cosines[slot]!
  }

  #computed(a: number, b: number): number {
    const { codes, scales, dimensions } = this.#table
    const lengths = this.#weights[a]! * this.#weights[b]!
    const product = dot(codes, a * dimensions, b * dimensions) * scales[a]! * scales[b]!
    return lengths > 0 ? product / lengths : 0
  }
}

/** Inner product of two rows of 256 codes. */
const dot = (codes: Int8Array, a: number, b: number): number => {
  let s0 = 0
  let s1 = 0
  for (let c = 0; c < 256; c += 4) {
    s0 = (s0 + Math.imul(codes[a + c]!, codes[b + c]!)) | 0
    s1 = (s1 + Math.imul(codes[a + c + 1]!, codes[b + c + 1]!)) | 0
    s0 = (s0 + Math.imul(codes[a + c + 2]!, codes[b + c + 2]!)) | 0
    s1 = (s1 + Math.imul(codes[a + c + 3]!, codes[b + c + 3]!)) | 0
  }
  return s0 + s1
}
