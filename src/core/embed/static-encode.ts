/**
 * Encoding with a static token table: the sum of the rows of a text's pieces, L2-normalised.
 * The mean differs from the sum by a factor that normalising takes out again.
 *
 * Bits are the same on every machine: component `c` is the f64 sum of `codes * scale` (exact
 * products) over the pieces in order, and `writeNormalised` says how the sums are rounded.
 */
import { writeNormalised } from "./normalise.ts"
import type { StaticTable } from "./table.ts"
import { WordPieces } from "./word-piece.ts"

/** Part of a batch, for a worker thread. */
export interface EmbedTask {
  readonly table: StaticTable
  readonly texts: ReadonlyArray<string>
  /** Shared: the vectors of the whole batch, row-major. */
  readonly vectors: Float32Array
  /** Row of the first text. */
  readonly row: number
}

export class StaticEncoder {
  readonly #table: StaticTable
  readonly #pieces: WordPieces
  readonly #sums: Float64Array

  constructor(table: StaticTable) {
    this.#table = table
    this.#pieces = new WordPieces(table.vocabulary)
    this.#sums = new Float64Array(table.dimensions)
  }

  /** Writes the vector of `text` at `out[at]`; false when the text has no known word. */
  encode(text: string, out: Float32Array, at: number): boolean {
    this.#pieces.tokenise(text)
    const { ids, count } = this.#pieces
    if (count === 0) return false
    this.#sum(ids, count)
    return writeNormalised(this.#sums, out, at)
  }

  /** Eight components at a time stay in registers while the pieces pass by. */
  #sum(ids: Uint32Array, count: number): void {
    const { codes, scales, dimensions } = this.#table
    const sums = this.#sums
    for (let c = 0; c < dimensions; c += 8) {
      let s0 = 0
      let s1 = 0
      let s2 = 0
      let s3 = 0
      let s4 = 0
      let s5 = 0
      let s6 = 0
      let s7 = 0
      for (let i = 0; i < count; i++) {
        const id = ids[i]!
        const scale = scales[id]!
        const row = id * dimensions + c
        s0 += codes[row]! * scale
        s1 += codes[row + 1]! * scale
        s2 += codes[row + 2]! * scale
        s3 += codes[row + 3]! * scale
        s4 += codes[row + 4]! * scale
        s5 += codes[row + 5]! * scale
        s6 += codes[row + 6]! * scale
        s7 += codes[row + 7]! * scale
      }
      sums[c] = s0
      sums[c + 1] = s1
      sums[c + 2] = s2
      sums[c + 3] = s3
      sums[c + 4] = s4
      sums[c + 5] = s5
      sums[c + 6] = s6
      sums[c + 7] = s7
    }
  }
}
