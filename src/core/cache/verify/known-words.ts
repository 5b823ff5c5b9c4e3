/** What is known of a word whatever text it is in: words that were met lately are not taken apart again. */

import { EMPTY_HASH, extendHash } from "../../embed/fnv1a.ts"
import type { WordPieces } from "../../embed/word-piece.ts"
import { type Entry, LEXICON } from "./lexicon.ts"
import type { PieceCosines } from "./piece-cosines.ts"
import { bareStart, stemEnd } from "./stem.ts"

/** Words that are remembered, one a hash. */
const REMEMBERED = 4096
/** Longer ones are no words that come again. */
const LONGEST = 32
/** Weight of a word that the vocabulary has no pieces for: as rare as the rarest. */
const UNKNOWN_WEIGHT = 4.5
/** What a word that is cut into pieces weighs more than the heaviest of them. */
const CUT_WEIGHT = 0.3
/** Pieces of a word that its vector is the sum of: the first of them. */
const MOST_PIECES = 6

/** Pairs of words whose cosine is remembered: a few words make up most of what is asked. */
const PAIRS = 16_384

export interface Word {
  /** No other word that was taken apart has it. */
  readonly id: number
  readonly hash: number
  readonly units: ReadonlyArray<number>
  readonly entry: Entry | undefined
  readonly stem: number
  /** Stem without the prefix that turns a word into its opposite, 0 where there is none. */
  readonly bare: number
  readonly weight: number
  /** Whether it is one piece of the vocabulary. */
  readonly isPiece: boolean
  /** Pieces that its vector is the sum of. */
  readonly pieces: ReadonlyArray<number>
  /** Length of that sum, 0 for a word without pieces. */
  readonly length: number
}

export class KnownWords {
  readonly #pieces: WordPieces
  readonly #weights: Float32Array
  readonly #cosines: PieceCosines
  readonly #known: Array<Word | undefined> = new Array(REMEMBERED).fill(undefined)
  /** Ids of both words of a pair, the lesser one first. */
  readonly #pairs = new Float64Array(2 * PAIRS)
  readonly #pairCosines = new Float64Array(PAIRS)
  #nextId = 1

  /** `weights` are the lengths of the vectors of all pieces. */
  constructor(pieces: WordPieces, weights: Float32Array, cosines: PieceCosines) {
    this.#pieces = pieces
    this.#weights = weights
    this.#cosines = cosines
  }

  /** The word `units[from..to)`, in lower case. */
  at(units: Uint16Array, from: number, to: number): Word {
    let hash = EMPTY_HASH
    for (let u = from; u < to; u++) hash = extendHash(hash, units[u]!)
    const slot = (hash ^ (hash >>> 16)) & (REMEMBERED - 1)
    const known = this.#known[slot]
    if (known !== undefined && known.hash === hash && isSame(known.units, units, from, to)) return known
    const word = this.#read(hash, units, from, to)
    if (to - from <= LONGEST) this.#known[slot] = word
    return word
  }

  /** Cosine of two words; 0 where the vocabulary has no pieces for one of them. */
  cosine(a: Word, b: Word): number {
    const [first, second] = a.id < b.id ? [a, b] : [b, a]
    const pairs = this.#pairs
    const slot = (Math.imul(first.id, 0x9e3779b1) ^ Math.imul(second.id, 0x85ebca6b)) >>> 18
    if (pairs[2 * slot] !== first.id || pairs[2 * slot + 1] !== second.id) {
      const lengths = first.length * second.length
      this.#pairCosines[slot] = lengths > 0 ? this.#product(first.pieces, second.pieces) / lengths : 0
      pairs[2 * slot] = first.id
      pairs[2 * slot + 1] = second.id
    }
    return this.#pairCosines[slot]!
  }

  #read(hash: number, units: Uint16Array, from: number, to: number): Word {
    const end = stemEnd(units, from, to)
    const bare = bareStart(units, from, end)
    const count = this.#pieces.cut(units, from, to, 0)
    const all = this.#pieces.ids.subarray(0, count)
    let heaviest = count === 0 ? UNKNOWN_WEIGHT : 0
    for (const id of all) heaviest = Math.max(heaviest, this.#weights[id]!)
    const pieces = [...all.subarray(0, MOST_PIECES)]
    return {
      id: this.#nextId++,
      hash,
      units: [...units.subarray(from, to)],
      entry: LEXICON.get(hash),
      stem: stemHash(units, from, end),
      bare: bare > from ? stemHash(units, bare, end) : 0,
      weight: count > 1 ? Math.min(UNKNOWN_WEIGHT, heaviest + CUT_WEIGHT) : heaviest,
      isPiece: count === 1,
      pieces,
      length: Math.sqrt(Math.max(0, this.#product(pieces, pieces)))
    }
  }

  /** Inner product of two sums of pieces, from the cosines of these: many words have the same pieces. */
  #product(a: ReadonlyArray<number>, b: ReadonlyArray<number>): number {
    let sum = 0
    for (const own of a) {
      for (const its of b) sum += this.#weights[own]! * this.#weights[its]! * this.#cosines.of(own, its)
    }
    return sum
  }
}

const isSame = (known: ReadonlyArray<number>, units: Uint16Array, from: number, to: number): boolean => {
  if (known.length !== to - from) return false
  for (let i = 0; i < known.length; i++) if (known[i] !== units[from + i]) return false
  return true
}

const Y = "y".charCodeAt(0)
const I = "i".charCodeAt(0)

/** Of a stem whose last i may have been a y. */
const stemHash = (units: Uint16Array, from: number, to: number): number => {
  let hash = EMPTY_HASH
  for (let i = from; i < to; i++) hash = extendHash(hash, units[i] === I && i === to - 1 ? Y : units[i]!)
  return hash
}
