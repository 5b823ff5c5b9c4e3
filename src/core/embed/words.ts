/**
 * Words of a text: NFD-normalised, marks stripped, lower-cased, then split into runs of letters
 * and digits, and single other characters that are not space.
 */
import { normalForm } from "../normal-form.ts"

const WORD = 1
const SPACE = 2
const OTHER = 3
/** Added to the kind of a character that takes two code units. */
const WIDE = 4

const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u
const WHITE_SPACE = /\s/u
const MARKS = /\p{M}+/gu

/** Kind of every code unit met so far, 0 for one not met yet. */
const kinds = new Uint8Array(65_536)

const kindOf = (character: string): number =>
  LETTER_OR_DIGIT.test(character) ? WORD : WHITE_SPACE.test(character) ? SPACE : OTHER

/** Kind of the character that starts with `unit`, remembered unless it depends on `next`. */
const classify = (unit: number, next: number): number => {
  if (unit >= 0xd800 && unit < 0xdc00) {
    return next >= 0xdc00 && next < 0xe000 ? kindOf(String.fromCharCode(unit, next)) | WIDE : OTHER
  }
  const kind = kindOf(String.fromCharCode(unit))
  kinds[unit] = kind
  return kind
}

const kindAt = (units: Uint16Array, at: number, length: number): number => {
  const unit = units[at]!
  return kinds[unit] || classify(unit, at + 1 < length ? units[at + 1]! : 0)
}

const widthOf = (kind: number): number => (kind & WIDE ? 2 : 1)

/** Where the run of letters and digits that reaches `from` ends. */
const runEnd = (units: Uint16Array, from: number, length: number): number => {
  let at = from
  while (at < length) {
    const kind = kindAt(units, at, length)
    if ((kind & ~WIDE) !== WORD) break
    at += widthOf(kind)
  }
  return at
}

const lowerAscii = Uint8Array.from({ length: 128 }, (_, unit) => String.fromCharCode(unit).toLowerCase().charCodeAt(0))

/** Splits one text at a time into memory that it reuses: the words are valid until the next `split`. */
export class Words {
  /** Code units of the normalised text. */
  units = new Uint16Array(1024)
  /** Word `i` is `units[bounds[2 * i]]` up to, not including, `units[bounds[2 * i + 1]]`. */
  bounds = new Uint32Array(1024)
  count = 0

  split(text: string): void {
    const length = this.#load(text)
    if (this.bounds.length < 2 * length) this.bounds = new Uint32Array(this.units.length * 2)
    const { units, bounds } = this
    let count = 0
    let at = 0
    while (at < length) {
      const from = at
      const kind = kindAt(units, at, length)
      at += widthOf(kind)
      if (kind === SPACE) continue
      if ((kind & ~WIDE) === WORD) at = runEnd(units, at, length)
      bounds[2 * count] = from
      bounds[2 * count + 1] = at
      count++
    }
    this.count = count
  }

  /** Fills `units`; ASCII, which normalisation leaves alone but for case, takes one pass. */
  #load(text: string): number {
    const { length } = text
    const units = this.#room(length)
    let seen = 0
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      seen |= unit
      units[i] = lowerAscii[unit & 127]!
    }
    return seen < 128 ? length : this.#loadNormalised(normalForm(text, "NFD").replace(MARKS, "").toLowerCase())
  }

  #loadNormalised(text: string): number {
    const { length } = text
    const units = this.#room(length)
    for (let i = 0; i < length; i++) units[i] = text.charCodeAt(i)
    return length
  }

  #room(length: number): Uint16Array {
    if (this.units.length < length) this.units = new Uint16Array(2 ** Math.ceil(Math.log2(length)))
    return this.units
  }
}
