/** Numbers, units, dates and code identifiers of a text: what no paraphrase changes. */
import { EMPTY_HASH, extendHash } from "../../embed/fnv1a.ts"
import { isDigit, isUpper } from "./characters.ts"
import { identifierHash, isCodeSign } from "./identifiers.ts"
import { type Entry, isNumberedByRomans, LEXICON, needsNumber, relativeOf, unitOfSign, wordHash } from "./lexicon.ts"

/** Facts of one kind that are kept of a text. */
const MOST = 32
/** Years, as against other numbers. */
const FIRST_YEAR = 1700
const LAST_YEAR = 2100

/** A small set of numbers. */
class FactSet {
  count = 0
  readonly values = new Float64Array(MOST)

  add(value: number): void {
    if (this.count < MOST && !this.has(value)) this.values[this.count++] = value
  }

  has(value: number): boolean {
    for (let i = 0; i < this.count; i++) if (this.values[i] === value) return true
    return false
  }

  /** Whether all of this is in the other. */
  isWithin(other: FactSet): boolean {
    for (let i = 0; i < this.count; i++) if (!other.has(this.values[i]!)) return false
    return true
  }

  /** Whether each holds something that the other does not. */
  contradicts(other: FactSet): boolean {
    return !this.isWithin(other) && !other.isWithin(this)
  }
}

const DOT = 46
const COMMA = 44
const COLON = 58
const HYPHEN = 45
const SLASH = 47
const THOUSANDS_DIGITS = 3
/** Space between the kinds of what one set holds: an order of numbers is none of them. */
const ORDER = 2 ** 33

export class Facts {
  readonly numbers = new FactSet()
  readonly units = new FactSet()
  readonly dates = new FactSet()
  readonly identifiers = new FactSet()

  /** Number that was read last and may go on, and whether there is one. */
  #value = 0
  #open = false
  /** Sign right behind it, 0 for none. */
  #joint = 0
  /** Numbers joined to the last one: a version, time or date. */
  #joined = 0
  #chain = 0
  #afterNumber = false
  #decimals = 0

  clear(): void {
    this.numbers.count = 0
    this.units.count = 0
    this.dates.count = 0
    this.identifiers.count = 0
    this.#open = false
    this.#joint = 0
    this.#joined = 0
    this.#afterNumber = false
  }

  /** Takes note of a character that is no letter or digit, and of whether a space is before it. */
  sign(unit: number, spaced: boolean): void {
    const known = unitOfSign(unit)
    if (known !== 0) this.units.add(known)
    this.#joint = this.#open && !spaced && this.#joint === 0 ? unit : -1
  }

  /** Takes note of the word `units[from..to)`, and says whether it holds a digit. */
  word(
    units: Uint16Array,
    from: number,
    to: number,
    entry: Entry | undefined,
    hash: number,
    upper: boolean,
    previous: number,
    spaced: boolean
  ): boolean {
    if (spaced && this.#joint !== 0) this.#joint = -1
    let at = from
    let digits = 0
    while (at < to && isDigit(units[at]!)) digits = digits * 10 + units[at++]! - 48
    const length = at - from
    if (length > 0) {
      this.#digits(digits, length)
      this.#suffix(units, at, to)
      return true
    }
    const afterNumber = this.#afterNumber
    // A letter or two before the digits: a version, a code of an error.
    let inner = false
    for (let i = from; i < to; i++) if (isDigit(units[i]!)) inner = true
    if (inner) {
      this.#innerDigits(units, from, to)
      return true
    }
    const isOrdinal = entry !== undefined && entry.unit === 1 && entry.value === 2
    if (entry === undefined || (hash === K_HASH && afterNumber)) {
      if (entry !== undefined) this.#value *= 1000
      this.#close()
      return false
    }
    if (entry.value >= 0 && !(isOrdinal && afterNumber) && (upper || !entry.isRoman)) this.#numberWord(entry)
    else {
      if (hash === I_HASH && upper && isNumberedByRomans(previous)) this.numbers.add(1)
      this.#close()
    }
    if (entry.unit !== 0 && !(isOrdinal && !afterNumber) && (afterNumber || !needsNumber(hash))) {
      const relative = relativeOf(previous)
      if (relative > 0) this.dates.add(-(entry.unit * 8 + relative))
      else this.units.add(entry.unit)
    }
    if (entry.date !== 0 && (afterNumber || !needsNumber(hash))) this.dates.add(entry.date)
    return false
  }

  #digits(value: number, length: number): void {
    const { numbers } = this
    const joint = this.#open && this.#joint > 0 ? this.#joint : -1
    if (joint === COMMA && length === THOUSANDS_DIGITS && this.#decimals === 0) this.#value = this.#value * 1000 + value
    else if (joint === DOT && this.#joined === 0) {
      this.#value += value / 10 ** length
      this.#decimals = length
      this.#chain = chained(this.#chain, value)
      this.#joined = DOT
    } else if (joint === DOT || joint === COLON || joint === HYPHEN || joint === SLASH) {
      this.#chain = chained(this.#chain, value)
      if (joint !== DOT && this.#joined === 0) numbers.add(this.#value)
      this.#joined = joint
      this.#value = value
      this.#decimals = 0
    } else {
      this.#close()
      this.#value = value
      this.#decimals = 0
      this.#joined = 0
      this.#chain = chained(0, value)
    }
    this.#open = true
    this.#joint = 0
    this.#afterNumber = true
  }

  /** What follows digits in one word: a unit, an ending, a factor. */
  #suffix(units: Uint16Array, from: number, to: number): void {
    if (from === to) return
    let hash = EMPTY_HASH
    for (let i = from; i < to; i++) hash = extendHash(hash, units[i]!)
    if (to - from === 1 && units[from] === K) this.#value *= 1000
    else {
      const entry = LEXICON.get(hash)
      if (entry !== undefined && entry.unit > 0) this.units.add(entry.unit)
      if (entry !== undefined && entry.date > 0) this.dates.add(entry.date)
    }
    this.#close()
  }

  #innerDigits(units: Uint16Array, from: number, to: number): void {
    let value = 0
    let length = 0
    let letters = 0
    for (let i = from; i < to; i++) {
      if (isDigit(units[i]!)) {
        value = value * 10 + units[i]! - 48
        length++
      } else {
        if (length > 0) this.numbers.add(value)
        value = 0
        length = 0
        letters++
      }
    }
    // "v1" goes on as "v1.4" does.
    if (length > 0 && letters === 1) this.#digits(value, length)
    else {
      this.#close()
      if (length > 0) this.numbers.add(value)
      this.#afterNumber = length > 0
    }
  }

  #numberWord({ value, scales }: Entry): void {
    const goesOn = this.#open && this.#joined === 0 && this.#joint === 0
    if (goesOn && scales) this.#value *= value
    else if (goesOn && this.#value % 10 === 0 && this.#value > 0 && value < this.#value && value < 10)
      this.#value += value
    else {
      this.#close()
      this.#value = value
      this.#decimals = 0
      this.#joined = 0
    }
    this.#open = true
    this.#joint = 0
    this.#afterNumber = true
  }

  #close(): void {
    if (this.#open) {
      if (this.#joined === COLON) this.dates.add(ORDER + this.#chain)
      else if (this.#joined === DOT && this.#decimals === 0) this.numbers.add(ORDER + this.#chain)
      else {
        if (this.#joined === HYPHEN || this.#joined === SLASH) this.numbers.add(ORDER + this.#chain)
        const isYear = this.#value >= FIRST_YEAR && this.#value <= LAST_YEAR && Number.isInteger(this.#value)
        if (isYear) this.dates.add(this.#value)
        this.numbers.add(this.#value)
      }
    }
    this.#open = false
    this.#joint = 0
    this.#joined = 0
    this.#afterNumber = false
  }

  finish(): void {
    this.#close()
  }

  /** Chunks between spaces that are written as code is. */
  readIdentifiers(text: string): void {
    let from = 0
    // Most words are letters and what ends a sentence: these are passed by at one look each.
    let isPlain = true
    for (let i = 0; i <= text.length; i++) {
      const unit = i < text.length ? text.charCodeAt(i) : 32
      if (unit > 32) {
        if (isCodeSign(unit) || (isUpper(unit) && i > from)) isPlain = false
        continue
      }
      const hash = !isPlain && i - from > 2 ? identifierHash(text, from, i) : 0
      if (hash !== 0) this.identifiers.add(hash)
      from = i + 1
      isPlain = true
    }
  }
}

const K = "k".charCodeAt(0)
const I_HASH = wordHash("i")
const K_HASH = wordHash("k")

/** A hash of numbers in their order. */
const chained = (chain: number, value: number): number => (Math.imul(chain, 31) + Math.floor(value) + 1) >>> 0
