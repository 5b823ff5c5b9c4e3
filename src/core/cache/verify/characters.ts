/** Kinds of characters, and the form of a text in which they are compared. */
import { normalForm } from "../../normal-form.ts"

const MARKS = /\p{M}+/gu
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const ASCII = /^[\x00-\x7f]*$/

/** Compatibility forms and marks taken out; what is left differs from its words in case alone. */
export const plain = (text: string): string => (ASCII.test(text) ? text : normalForm(text, "NFKD").replace(MARKS, ""))

/** 1 for a letter or digit, 2 for anything else, 0 where nobody asked yet. */
const known = new Uint8Array(65_536)

/** Whether a letter or digit, lower-cased, stands at `units[at]`. */
export const isLetter = (units: Uint16Array, at: number): boolean => {
  const unit = units[at]!
  if (known[unit] === 0) {
    const isHigh = unit >= 0xd800 && unit < 0xdc00
    if (isHigh) return LETTER_OR_DIGIT.test(String.fromCharCode(unit, units[at + 1] ?? 0))
    known[unit] = LETTER_OR_DIGIT.test(String.fromCharCode(unit)) ? 1 : 2
  }
  return known[unit] === 1
}

export const isDigit = (unit: number): boolean => unit >= 48 && unit <= 57
export const isLower = (unit: number): boolean => unit >= 97 && unit <= 122
export const isUpper = (unit: number): boolean => unit >= 65 && unit <= 90
