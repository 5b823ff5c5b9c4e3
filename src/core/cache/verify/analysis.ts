/** What the verifier reads off one text: its words, their weights, stems and kinds, in arrays that are used again. */
import { EMPTY_HASH, extendHash } from "../../embed/fnv1a.ts"
import { CharacterGrams } from "./character-grams.ts"
import { isLetter, plain } from "./characters.ts"
import { Facts } from "./facts.ts"
import { type Entry, LEXICON, wordHash } from "./lexicon.ts"
import type { Reader } from "./reader.ts"
import { bareStart, stemEnd } from "./stem.ts"

/** Code units of a text that are read: verifying one must end in the time of a look-up. */
export const MOST_UNITS = 4096
/** Words of a text that are read. */
export const MOST_WORDS = 512

export const FUNCTION = 1
export const NUMBER = 2
/** Written with a capital where grammar asks for none. */
export const CAPITAL = 4
export const NEGATION = 8
export const UPPER = 16
/** A negation that asks the same as none. */
export const RHETORICAL = 32

/** Weight of a word that the vocabulary has no pieces for: as rare as the rarest. */
const UNKNOWN_WEIGHT = 4.5
/** What a word that is cut into pieces weighs more than the heaviest of them. */
const CUT_WEIGHT = 0.3
/** Words that one text makes vectors of. */
const VECTOR_SLOTS = 40

export class Analysis {
  /** Words, without punctuation. */
  count = 0
  /** Whether all of the text was read. */
  isWhole = true
  readonly hashes = new Int32Array(MOST_WORDS)
  readonly stems = new Int32Array(MOST_WORDS)
  /** Stem without the prefix that turns a word into its opposite, 0 where there is none. */
  readonly bares = new Int32Array(MOST_WORDS)
  readonly weights = new Float32Array(MOST_WORDS)
  readonly kinds = new Uint8Array(MOST_WORDS)
  readonly entries: Array<Entry | undefined> = new Array(MOST_WORDS).fill(undefined)
  /** Code units of the words one after another; word `i` ends at `ends[i]`. */
  readonly units = new Uint16Array(MOST_UNITS)
  readonly ends = new Uint16Array(MOST_WORDS)
  /** Pieces of all words; those of word `i` end at `pieceEnds[i]`. */
  readonly pieces = new Uint32Array(MOST_UNITS)
  readonly pieceEnds = new Uint16Array(MOST_WORDS)
  /** Sum of all weights. */
  weight = 0
  /** Number of the first question word, 0 for none. */
  question = 0
  negations = 0
  readonly facts = new Facts()
  readonly grams = new CharacterGrams(MOST_UNITS)

  readonly #vectorAt = new Int16Array(MOST_WORDS)
  #vectorCount = 0
  readonly vectors: Float32Array
  readonly #reader: Reader

  constructor(reader: Reader) {
    this.#reader = reader
    this.vectors = new Float32Array(VECTOR_SLOTS * reader.table.dimensions)
  }

  get length(): number {
    return this.count === 0 ? 0 : this.ends[this.count - 1]!
  }

  start(i: number): number {
    return i === 0 ? 0 : this.ends[i - 1]!
  }

  read(text: string): void {
    const { words } = this.#reader
    const whole = plain(text.length > MOST_UNITS ? text.slice(0, MOST_UNITS) : text)
    const base = whole.slice(0, MOST_UNITS)
    this.isWhole = text.length <= MOST_UNITS && whole.length <= MOST_UNITS
    words.split(base)
    this.count = 0
    this.weight = 0
    this.question = 0
    this.negations = 0
    this.#vectorCount = 0
    this.facts.clear()
    let startsSentence = true
    let from = 0
    for (let w = 0; w < words.count; w++) {
      const at = words.bounds[2 * w]!
      const to = words.bounds[2 * w + 1]!
      const first = words.units[at]!
      const previousEnd = from
      from = to
      if (!isLetter(words.units, at)) {
        if (first === 46 || first === 63 || first === 33 || first === 58 || first === 10) startsSentence = true
        this.facts.sign(first, at > previousEnd)
        continue
      }
      if (this.count === MOST_WORDS) {
        this.isWhole = false
        break
      }
      this.#add(base, at, to, startsSentence, at > previousEnd)
      startsSentence = false
    }
    this.facts.readIdentifiers(base)
    this.facts.finish()
    this.grams.read(this.units, this.ends, this.count)
  }

  #add(base: string, from: number, to: number, startsSentence: boolean, spaced: boolean): void {
    const { words, pieces, weights } = this.#reader
    const { units } = words
    const i = this.count
    let hash = EMPTY_HASH
    let at = this.start(i)
    for (let u = from; u < to; u++) {
      hash = extendHash(hash, units[u]!)
      this.units[at++] = units[u]!
    }
    const entry = LEXICON.get(hash)
    const isUpper = base.charCodeAt(from) !== units[from]
    let kind = 0
    if (entry?.isFunction) kind |= FUNCTION
    if (entry?.isNegation) {
      kind |= NEGATION
      if (isRhetorical(hash, i, i === 0 ? 0 : this.hashes[i - 1]!)) kind |= RHETORICAL
      else this.negations++
    }
    if (isUpper) kind |= UPPER
    if (isUpper && !startsSentence) kind |= CAPITAL
    if (this.facts.word(units, from, to, entry, hash, isUpper, i === 0 ? 0 : this.hashes[i - 1]!, spaced))
      kind |= NUMBER
    if (this.question === 0) this.question = entry?.question ?? 0
    const end = stemEnd(units, from, to)
    const bare = bareStart(units, from, end)
    this.hashes[i] = hash
    this.stems[i] = stemHash(units, from, end)
    this.bares[i] = bare > from ? stemHash(units, bare, end) : 0
    this.kinds[i] = kind
    this.entries[i] = entry
    this.ends[i] = at
    const first = i === 0 ? 0 : this.pieceEnds[i - 1]!
    const cut = pieces.cut(units, from, to, 0)
    let weight = cut === 0 ? UNKNOWN_WEIGHT : 0
    for (let p = 0; p < cut; p++) {
      const id = pieces.ids[p]!
      this.pieces[first + p] = id
      if (weights[id]! > weight) weight = weights[id]!
    }
    if (cut > 1) weight = Math.min(UNKNOWN_WEIGHT, weight + CUT_WEIGHT)
    this.pieceEnds[i] = first + cut
    this.weights[i] = weight
    this.weight += weight
    this.#vectorAt[i] = UNMADE
    this.count++
  }

  /** Where in `vectors` the vector of word `i` starts, made of length 1 when first asked for; -1 when it has none. */
  vectorAt(i: number): number {
    if (this.#vectorAt[i] !== UNMADE) return this.#vectorAt[i]!
    const { table, weights } = this.#reader
    const { codes, scales, dimensions } = table
    const from = i === 0 ? 0 : this.pieceEnds[i - 1]!
    const to = this.pieceEnds[i]!
    this.#vectorAt[i] = -1
    if (from === to || this.#vectorCount === VECTOR_SLOTS) return -1
    const at = this.#vectorCount++ * dimensions
    const { vectors } = this
    if (to - from === 1) {
      const id = this.pieces[from]!
      const scale = scales[id]! / (weights[id]! || 1)
      for (let c = 0, row = id * dimensions; c < dimensions; c++) vectors[at + c] = codes[row + c]! * scale
    } else {
      vectors.fill(0, at, at + dimensions)
      for (let p = from; p < to; p++) {
        const id = this.pieces[p]!
        const scale = scales[id]!
        for (let c = 0, row = id * dimensions; c < dimensions; c++) vectors[at + c]! += codes[row + c]! * scale
      }
      let squares = 0
      for (let c = at; c < at + dimensions; c++) squares += vectors[c]! * vectors[c]!
      const scale = 1 / Math.sqrt(squares || 1)
      for (let c = at; c < at + dimensions; c++) vectors[c]! *= scale
    }
    this.#vectorAt[i] = at
    return at
  }
}

const UNMADE = -2
const T_HASH = wordHash("t")
const NOT_HASH = wordHash("not")
const BEFORE_RHETORICAL = new Set(["or", "why"].map(wordHash))

/** "Isn't it so?", "Is it so or not?" and "Is it so? Why not?" ask the same as "Is it so?". */
const isRhetorical = (hash: number, at: number, previous: number): boolean =>
  (hash === T_HASH && at === 1) || (hash === NOT_HASH && BEFORE_RHETORICAL.has(previous))

const Y = "y".charCodeAt(0)
const I = "i".charCodeAt(0)

/** Of a stem whose last i may have been a y. */
const stemHash = (units: Uint16Array, from: number, to: number): number => {
  let hash = EMPTY_HASH
  for (let i = from; i < to; i++) hash = extendHash(hash, units[i] === I && i === to - 1 ? Y : units[i]!)
  return hash
}
