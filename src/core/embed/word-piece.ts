/** Word-piece tokeniser: each word is cut greedily into the longest pieces of a vocabulary. */
import { EMPTY_HASH, extendHash } from "./fnv1a.ts"
import { findPiece, type Vocabulary } from "./vocabulary.ts"
import { Words } from "./words.ts"

/** Tokenises one text at a time into memory that it reuses. */
export class WordPieces {
  /** Ids of the last text; the first `count` of them are valid until the next `tokenise`. */
  ids = new Uint32Array(1024)
  count = 0
  readonly #vocabulary: Vocabulary
  readonly #longest: number
  readonly #words = new Words()
  /** Element `n`: hash of the first `n` units from where a piece is looked for. */
  readonly #hashes: Int32Array

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary
    this.#longest = vocabulary.longest[0]!
    this.#hashes = new Int32Array(this.#longest + 1)
  }

  /** Fills `ids` with the pieces of every word, in order; a word that no pieces make up adds none. */
  tokenise(text: string): void {
    const words = this.#words
    words.split(text)
    const { units, bounds } = words
    if (this.ids.length < units.length) this.ids = new Uint32Array(units.length)
    let count = 0
    for (let i = 0; i < words.count; i++) count = this.cut(units, bounds[2 * i]!, bounds[2 * i + 1]!, count)
    this.count = count
  }

  /**
   * Appends the pieces of one word, `units[from..to)`, at `count` of `ids` and returns the new count: the old one when
   * a part matches nothing. `ids` has room for as many pieces as the word has units.
   */
  cut(units: Uint16Array, from: number, to: number, count: number): number {
    const { starts, heads, tails } = this.#vocabulary
    let end = count
    for (let at = from; at < to; ) {
      const id = this.#longestPiece(at === from ? heads : tails, units, at, to)
      if (id < 0) return count
      this.ids[end++] = id
      at += starts[id + 1]! - starts[id]!
    }
    return end
  }

  /** The longest piece of `slots` that `units[at..to)` starts with, or -1. */
  #longestPiece(slots: Uint32Array, units: Uint16Array, at: number, to: number): number {
    const hashes = this.#hashes
    const reach = Math.min(to - at, this.#longest)
    let hash = EMPTY_HASH
    for (let length = 1; length <= reach; length++) {
      hash = extendHash(hash, units[at + length - 1]!)
      hashes[length] = hash
    }
    for (let length = reach; length > 0; length--) {
      const id = findPiece(this.#vocabulary, slots, hashes[length]!, units, at, at + length)
      if (id >= 0) return id
    }
    return -1
  }
}
