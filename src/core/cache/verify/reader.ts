/** What all analyses of a verifier share: the table of the static embedder, and memory to split texts in. */
import type { StaticTable } from "../../embed/table.ts"
import { WordPieces } from "../../embed/word-piece.ts"
import { Words } from "../../embed/words.ts"
import { KnownWords } from "./known-words.ts"
import { PieceCosines } from "./piece-cosines.ts"

export class Reader {
  readonly words = new Words()
  readonly known: KnownWords

  constructor(table: StaticTable, longestWord: number) {
    const weights = pieceWeights(table)
    const pieces = new WordPieces(table.vocabulary)
    pieces.ids = new Uint32Array(longestWord)
    this.known = new KnownWords(pieces, weights, new PieceCosines(table, weights))
  }
}

/** Weight of each piece: the length of its vector, which distilling made small for what is said everywhere. */
const pieceWeights = ({ codes, scales, dimensions }: StaticTable): Float32Array =>
  Float32Array.from(scales, (scale, id) => {
    let squares = 0
    for (let c = id * dimensions; c < (id + 1) * dimensions; c++) squares += codes[c]! * codes[c]!
    return Math.sqrt(squares) * scale
  })
