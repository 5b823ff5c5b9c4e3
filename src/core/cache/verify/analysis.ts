/** What the verifier reads off one text: its words, their weights, stems and kinds, in arrays that are used again. */
import { CharacterGrams } from "./character-grams.ts"
import { isLetter, plain } from "./characters.ts"
import { Facts } from "./facts.ts"
import type { Word } from "./known-words.ts"
import { wordHash } from "./lexicon.ts"
import type { Reader } from "./reader.ts"

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

export class Analysis {
  /** Words, without punctuation. */
  count = 0
  /** Whether all of the text was read. */
  isWhole = true
  readonly words: Array<Word> = []
  readonly hashes = new Int32Array(MOST_WORDS)
  readonly stems = new Int32Array(MOST_WORDS)
  readonly weights = new Float32Array(MOST_WORDS)
  readonly kinds = new Uint8Array(MOST_WORDS)
  /** Code units of the words one after another; word `i` ends at `ends[i]`. */
  readonly units = new Uint16Array(MOST_UNITS)
  readonly ends = new Uint16Array(MOST_WORDS)
  /** Sum of all weights. */
  weight = 0
  /** Number of the first question word, 0 for none. */
  question = 0
  negations = 0
  readonly facts = new Facts()
  readonly grams = new CharacterGrams(MOST_UNITS)

  readonly #reader: Reader

  constructor(reader: Reader) {
    this.#reader = reader
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
    const { units } = this.#reader.words
    const i = this.count
    const word = this.#reader.known.at(units, from, to)
    const { hash, entry, weight } = word
    const previous = i === 0 ? 0 : this.hashes[i - 1]!
    let at = this.start(i)
    for (let u = from; u < to; u++) this.units[at++] = units[u]!
    const isUpper = base.charCodeAt(from) !== units[from]
    let kind = 0
    if (entry?.isFunction) kind |= FUNCTION
    if (entry?.isNegation) {
      kind |= NEGATION
      if (isRhetorical(hash, i, previous)) kind |= RHETORICAL
      else this.negations++
    }
    if (isUpper) kind |= UPPER
    if (isUpper && !startsSentence) kind |= CAPITAL
    if (this.facts.word(units, from, to, entry, hash, isUpper, previous, spaced)) kind |= NUMBER
    if (this.question === 0) this.question = entry?.question ?? 0
    this.words[i] = word
    this.hashes[i] = hash
    this.stems[i] = word.stem
    this.kinds[i] = kind
    this.ends[i] = at
    this.weights[i] = weight
    this.weight += weight
    this.count++
  }

  /** Cosine of word `i` with word `j` of another text. */
  cosine(i: number, other: Analysis, j: number): number {
    return this.#reader.known.cosine(this.words[i]!, other.words[j]!)
  }
}

const T_HASH = wordHash("t")
const NOT_HASH = wordHash("not")
const BEFORE_RHETORICAL = new Set(["or", "why"].map(wordHash))

/** "Isn't it so?", "Is it so or not?" and "Is it so? Why not?" ask the same as "Is it so?". */
const isRhetorical = (hash: number, at: number, previous: number): boolean =>
  (hash === T_HASH && at === 1) || (hash === NOT_HASH && BEFORE_RHETORICAL.has(previous))
