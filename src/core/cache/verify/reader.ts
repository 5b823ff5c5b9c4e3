/** What all analyses of a verifier share: the table of the static embedder, and memory to split texts in. */
import type { StaticTable } from "../../embed/table.ts"
import { WordPieces } from "../../embed/word-piece.ts"
import { Words } from "../../embed/words.ts"

export class Reader {
  readonly table: StaticTable
  /** Weight of each piece: the length of its vector, which distilling made small for what is said everywhere. */
  readonly weights: Float32Array
  readonly words = new Words()
  readonly pieces: WordPieces

  constructor(table: StaticTable, longestWord: number) {
    this.table = table
    this.weights = pieceWeights(table)
    this.pieces = new WordPieces(table.vocabulary)
    this.pieces.ids = new Uint32Array(longestWord)
  }
}

const pieceWeights = ({ codes, scales, dimensions }: StaticTable): Float32Array =>
  Float32Array.from(scales, (scale, id) => {
    let squares = 0
    for (let c = id * dimensions; c < (id + 1) * dimensions; c++) squares += codes[c]! * codes[c]!
    return Math.sqrt(squares) * scale
  })
