/** Words of English that the verifier knows by name. */
import { EMPTY_HASH, extendHash } from "../../embed/fnv1a.ts"
import { CONTRASTS } from "./contrasts.ts"
import {
  ALIASES,
  DATES,
  FUNCTION_WORDS,
  NEGATIONS,
  NUMBER_WORDS,
  NUMBERED_BY_ROMANS,
  NUMBERED_UNITS,
  QUESTION_WORDS,
  RELATIVE,
  ROMAN_NUMERALS,
  UNITS
} from "./words.ts"

/** What is known of one word. */
export interface Entry {
  readonly isFunction: boolean
  readonly isNegation: boolean
  /** Number of the question word that it is, 0 for none. */
  readonly question: number
  /** Number that it stands for, or by which it multiplies (`scales`); -1 for none. */
  readonly value: number
  readonly scales: boolean
  /** A number in capitals alone. */
  readonly isRoman: boolean
  /** Unit of measure, 0 for none. One that is a single letter counts only right behind a number. */
  readonly unit: number
  /** Day, month, season, or meal, 0 for none. */
  readonly date: number
  /** Name that it is a form of, 0 for none. */
  readonly alias: number
  /** Sides that it takes: the contrast in the high bits, which of its sides in the low `SIDE_BITS`. */
  readonly sides: ReadonlyArray<number>
}

export const SIDE_BITS = 4

export const wordHash = (word: string): number => {
  let hash = EMPTY_HASH
  for (let i = 0; i < word.length; i++) hash = extendHash(hash, word.charCodeAt(i))
  return hash
}

type Draft = { -readonly [K in keyof Entry]: Entry[K] }

const split = (words: string): ReadonlyArray<string> => words.trim().split(/\s+/)

/** Every known word under its hash. */
export const LEXICON: ReadonlyMap<number, Entry> = (() => {
  const drafts = new Map<number, Draft>()
  const draft = (word: string): Draft => {
    const hash = wordHash(word)
    const entry = drafts.get(hash) ?? {
      isFunction: false,
      isNegation: false,
      question: 0,
      value: -1,
      scales: false,
      isRoman: false,
      unit: 0,
      date: 0,
      alias: 0,
      sides: []
    }
    drafts.set(hash, entry)
    return entry
  }
  for (const word of split(FUNCTION_WORDS)) draft(word).isFunction = true
  for (const word of split(NEGATIONS)) draft(word).isNegation = true
  for (const [i, word] of split(QUESTION_WORDS).entries()) draft(word).question = i + 1
  for (const [word, value] of NUMBER_WORDS) {
    draft(word).value = value
    draft(word).scales = value >= 100
  }
  for (const [word, value] of ROMAN_NUMERALS) {
    draft(word).value = value
    draft(word).isRoman = true
  }
  for (const [i, group] of UNITS.entries()) for (const word of split(group)) draft(word).unit = i + 1
  for (const [i, group] of DATES.entries()) for (const word of split(group)) draft(word).date = i + 1
  for (const [i, group] of ALIASES.entries()) for (const word of split(group)) draft(word).alias = i + 1
  for (const [contrast, sides] of CONTRASTS.entries()) {
    for (const [side, group] of sides.split("|").entries()) {
      for (const word of split(group)) {
        const entry = draft(word)
        entry.sides = [...entry.sides, (contrast << SIDE_BITS) | side]
      }
    }
  }
  return drafts
})()

const hashesOf = (words: string): ReadonlyMap<number, number> =>
  new Map(split(words).map((word, index) => [wordHash(word), index + 1]))

const relatives = hashesOf(RELATIVE)
const numberedByRomans = hashesOf(NUMBERED_BY_ROMANS)
const numbered = hashesOf(`${NUMBERED_UNITS} ${[..."abcdefghijklmnopqrstuvwxyz"].join(" ")}`)

/** Whether a unit or time of this name is one only right behind a number. */
export const needsNumber = (hash: number): boolean => numbered.has(hash)

/** Which of the words such as "last" this is, from 1 on, 0 for none. */
export const relativeOf = (hash: number): number => relatives.get(hash) ?? 0

/** Whether a lone I behind this word is a number, as in "part I". */
export const isNumberedByRomans = (hash: number): boolean => numberedByRomans.has(hash)

const unitNamed = (word: string): number => LEXICON.get(wordHash(word))?.unit ?? 0
const signs = new Map(
  [
    ["%", unitNamed("percent")],
    ["$", unitNamed("dollar")],
    ["€", unitNamed("euro")],
    ["£", unitNamed("pound")],
    ["¥", unitNamed("yen")],
    ["₹", unitNamed("rupee")]
  ].map(([sign, unit]) => [String(sign).charCodeAt(0), Number(unit)] as const)
)

/** The unit that a sign stands for, 0 for none. */
export const unitOfSign = (unit: number): number => signs.get(unit) ?? 0
