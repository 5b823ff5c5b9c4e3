/**
 * Hard gates: differences that no similarity makes up for. Each is symmetric in its two texts, and most ask for a
 * difference on both sides, because what one text alone mentions may be an aside; a negation is on one side by nature.
 */
import type { Alignment, Side } from "./alignment.ts"
import { type Analysis, CAPITAL, FUNCTION, NEGATION, NUMBER, RHETORICAL, UPPER } from "./analysis.ts"
import { SIDE_BITS, wordHash } from "./lexicon.ts"
import { isSameName } from "./names.ts"
import { actorsAreSwapped, directionsAreSwapped } from "./roles.ts"
import type { Gate } from "./verifier.ts"

/** Least cosine of words that may name one thing: below it two names are two things. */
const SAME_NAME = 0.55
/** Least cosine of words that may stand for one another where all else is the same. */
const SAME_WORD = 0.33
/** Words that differ in one place of otherwise equal texts. */
const MOST_REPLACED = 2

/** The gate that refuses to serve what is cached for `b` to who asks `a`, or undefined. */
export const refusingGate = (a: Analysis, b: Analysis, alignment: Alignment): Gate | undefined => {
  if (a.facts.dates.contradicts(b.facts.dates)) return "date"
  if (a.facts.numbers.contradicts(b.facts.numbers)) return "number"
  if (a.facts.units.contradicts(b.facts.units)) return "unit"
  if (a.facts.identifiers.contradicts(b.facts.identifiers)) return "identifier"
  const isNegated = (negations(a, alignment.a) + negations(b, alignment.b) + privatives(a, b, alignment)) % 2 === 1
  const isTurned = hasContrast(a, b, alignment) !== actorsAreSwapped(a, b, alignment)
  // Two wrongs: "not allowed" is "forbidden", and A better than B is B worse than A.
  if (isNegated !== isTurned) return isNegated ? "negation" : "antonym"
  if (directionsAreSwapped(a, b, alignment)) return "antonym"
  if (namesDiffer(a, b, alignment) || isReplaced(a, b, alignment)) return "entity"
  return undefined
}

/**
 * Lone negations of what the other text says too; what is negated and new is an aside, as in "without a gym",
 * unless it is the opposite of something, as in "not forbidden".
 */
const negations = (text: Analysis, { lone, partners, count }: Side): number => {
  let found = 0
  for (let x = 0; x < count; x++) {
    const i = lone[x]!
    if ((text.kinds[i]! & NEGATION) === 0 || (text.kinds[i]! & RHETORICAL) !== 0) continue
    let next = i + 1
    while (next < text.count && (text.kinds[next]! & (FUNCTION | NEGATION)) !== 0) next++
    const isOpposite = (text.words[next]?.entry?.sides.length ?? 0) > 0
    if (next < text.count && (partners[next]! >= 0 || isOpposite)) found++
  }
  return found
}

/** Words of which the other text has the opposite by a prefix. */
const privatives = (a: Analysis, b: Analysis, alignment: Alignment): number => {
  let found = 0
  for (let x = 0; x < alignment.a.count; x++) {
    const i = alignment.a.lone[x]!
    for (let y = 0; y < alignment.b.count; y++) {
      const j = alignment.b.lone[y]!
      if (isPrivative(a, i, b, j)) found++
    }
  }
  return found
}

const isPrivative = (a: Analysis, i: number, b: Analysis, j: number): boolean =>
  a.words[i]!.bare === b.stems[j] || b.words[j]!.bare === a.stems[i]

/** Whether lone words of the two texts take two sides of one contrast. */
const hasContrast = (a: Analysis, b: Analysis, alignment: Alignment): boolean => {
  for (let x = 0; x < alignment.a.count; x++) {
    const i = alignment.a.lone[x]!
    const sides = a.words[i]!.entry?.sides
    if (sides === undefined || sides.length === 0) continue
    for (let y = 0; y < alignment.b.count; y++) {
      const j = alignment.b.lone[y]!
      const others = b.words[j]!.entry?.sides
      if (others === undefined || others.length === 0 || isPrivative(a, i, b, j)) continue
      if (!excludes(sides, others) || takesSide(a, alignment.a, others) || takesSide(b, alignment.b, sides)) continue
      // "On" and "off" say something about the verb before them; elsewhere they are grammar.
      const isGrammar = ((a.kinds[i]! | b.kinds[j]!) & FUNCTION) !== 0
      if (!isGrammar || (i > 0 && j > 0 && alignment.a.partners[i - 1] === j - 1)) return true
    }
  }
  return false
}

/** Whether a lone word is on one of these sides. */
const takesSide = (text: Analysis, { lone, count }: Side, sides: ReadonlyArray<number>): boolean => {
  for (let x = 0; x < count; x++) {
    const own = text.words[lone[x]!]!.entry?.sides
    if (own?.some((side) => sides.includes(side))) return true
  }
  return false
}

const excludes = (sides: ReadonlyArray<number>, others: ReadonlyArray<number>): boolean => {
  let found = false
  for (const side of sides) {
    for (const other of others) {
      if (side === other) return false
      if (side >> SIDE_BITS === other >> SIDE_BITS) found = true
    }
  }
  return found
}

/** Whether each text names something that the other does not. */
const namesDiffer = (a: Analysis, b: Analysis, alignment: Alignment): boolean => {
  if (isTitle(a) || isTitle(b)) return false
  return hasOtherName(a, b, alignment.a, alignment.b) && hasOtherName(b, a, alignment.b, alignment.a)
}

const hasOtherName = (text: Analysis, other: Analysis, own: Side, others: Side): boolean => {
  for (let x = 0; x < own.count; x++) {
    const i = own.lone[x]!
    if ((text.kinds[i]! & CAPITAL) === 0 || !carries(text, i)) continue
    if (own.nearest[x]! >= 0 && own.nearest[x]! < SAME_NAME && !isNamedIn(text, i, other, others)) return true
  }
  return false
}

const isNamedIn = (text: Analysis, i: number, other: Analysis, { lone, count }: Side): boolean => {
  for (let y = 0; y < count; y++) if (isSameName(text, i, other, lone[y]!)) return true
  return false
}

/** Most words of it start with a capital: they tell nothing. */
const isTitle = (text: Analysis): boolean => {
  let upper = 0
  let content = 0
  for (let i = 0; i < text.count; i++) {
    if ((text.kinds[i]! & (FUNCTION | NUMBER)) !== 0) continue
    content++
    if ((text.kinds[i]! & UPPER) !== 0) upper++
  }
  return content >= 4 && upper > 0.7 * content
}

/** Whether the texts are equal but for one place, and what stands there is not the same in other words. */
const isReplaced = (a: Analysis, b: Analysis, alignment: Alignment): boolean => {
  if (!isOnePlace(a, alignment.a) || !isOnePlace(b, alignment.b) || !keepsOrder(a, alignment.a)) return false
  if (!isSamePlace(alignment.a, alignment.b, a, b)) return false
  for (let x = 0; x < alignment.a.count; x++) {
    const i = alignment.a.lone[x]!
    if (!carries(a, i)) continue
    if (alignment.a.nearest[x]! >= SAME_WORD || isNamedIn(a, i, b, alignment.b)) return false
  }
  return true
}

/** Whether the lone words that carry meaning are one or two, side by side. */
const isOnePlace = (text: Analysis, { lone, count }: Side): boolean => {
  let words = 0
  let last = -1
  for (let x = 0; x < count; x++) {
    const i = lone[x]!
    if (!carries(text, i)) {
      if (!isArticle(text, i)) return false
      continue
    }
    if (isVerb(text, i)) return false
    if (last >= 0 && i !== last + 1) return false
    last = i
    words++
  }
  return words > 0 && words <= MOST_REPLACED
}

/** Whether as many words that have partners are before the one place in both. */
const isSamePlace = (a: Side, b: Side, first: Analysis, second: Analysis): boolean =>
  partnersBefore(first, a) === partnersBefore(second, b)

const partnersBefore = (text: Analysis, { lone, count }: Side): number => {
  for (let x = 0; x < count; x++) if (carries(text, lone[x]!)) return lone[x]! - x
  return -1
}

const ARTICLES = new Set(["a", "an", "the", "some", "is", "are"].map(wordHash))
const isArticle = (text: Analysis, i: number): boolean => ARTICLES.has(text.hashes[i]!)

/** Whether a word says something that facts and the other gates do not compare. */
const carries = (text: Analysis, i: number): boolean => {
  const entry = text.words[i]!.entry
  if ((text.kinds[i]! & (FUNCTION | NEGATION | NUMBER)) !== 0) return false
  return entry === undefined || (entry.unit === 0 && entry.date === 0 && entry.value < 0)
}

/** What people do has too many names for vectors of words to tell: the model judges verbs. */
const isVerb = (text: Analysis, i: number): boolean => {
  if (i === 0) return false
  const before = text.hashes[i - 1]!
  if (before !== TO) return BEFORE_VERBS.has(before)
  return i === 1 || (text.kinds[i - 2]! & FUNCTION) !== 0 || BEFORE_INFINITIVES.has(text.stems[i - 2]!)
}

const TO = wordHash("to")
const BEFORE_VERBS = new Set(
  "i you we they one people should can could will would must may might not t".split(" ").map(wordHash)
)
const BEFORE_INFINITIVES = new Set("way best able want need try like time".split(" ").map(wordHash))

const keepsOrder = (text: Analysis, { partners }: Side): boolean => {
  let last = -1
  for (let i = 0; i < text.count; i++) {
    const partner = partners[i]!
    if (partner < 0) continue
    if (partner < last) return false
    last = partner
  }
  return true
}
