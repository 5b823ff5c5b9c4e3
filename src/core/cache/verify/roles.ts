/** Whether two texts say the same words of exchanged partners: from here to there, or who does what to whom. */
import type { Alignment } from "./alignment.ts"
import { type Analysis, FUNCTION } from "./analysis.ts"
import { wordHash } from "./lexicon.ts"

/** Words that give what follows them a direction. */
const DIRECTIONS = new Map(
  ["from", "to into onto", "than over", "before", "after", "by"].flatMap((words, index) =>
    words.split(" ").map((word) => [wordHash(word), index + 1] as const)
  )
)
const [FROM, TO, THAN, BEFORE, AFTER, BY] = [1, 2, 3, 4, 5, 6] as const
/** Roles that tell two words apart without another: A is as far from B as B from A. */
const ORDERED = (1 << TO) | (1 << BEFORE) | (1 << AFTER)

/** Content words that may lack a partner where roles are compared at all. */
const MOST_LONE = 2
/** Words between a direction and the word that it is about. */
const REACH = 2

const isContent = (text: Analysis, i: number): boolean => (text.kinds[i]! & FUNCTION) === 0

/** The direction that stands before word `i`, 0 for none. */
const roleOf = (text: Analysis, i: number): number => {
  for (let at = i - 1; at >= 0 && at >= i - REACH; at--) {
    const role = DIRECTIONS.get(text.hashes[at]!)
    if (role !== undefined) return role
    if (isContent(text, at)) return 0
  }
  return 0
}

/** Content words without a partner are few enough for the others to be compared by their roles. */
const areNear = (a: Analysis, b: Analysis, alignment: Alignment): boolean =>
  loneContent(a, alignment.a) <= MOST_LONE && loneContent(b, alignment.b) <= MOST_LONE

const loneContent = (text: Analysis, { lone, count }: Alignment["a"]): number => {
  let found = 0
  for (let x = 0; x < count; x++) if (isContent(text, lone[x]!)) found++
  return found
}

/** From A to B against from B to A, A to B against B to A, A before B against B before A. */
export const directionsAreSwapped = (a: Analysis, b: Analysis, alignment: Alignment): boolean =>
  areNear(a, b, alignment) && (exchanged(a, b, alignment) & ORDERED) !== 0

/** A does to B against B does to A, and A more than B against B more than A. */
export const actorsAreSwapped = (a: Analysis, b: Analysis, alignment: Alignment): boolean =>
  areNear(a, b, alignment) && ((exchanged(a, b, alignment) & (1 << THAN)) !== 0 || isBackwards(a, b, alignment))

/** Bit `role` is set when one word gained that role and another lost it. */
const exchanged = (a: Analysis, b: Analysis, { a: { partners } }: Alignment): number => {
  let gained = 0
  let lost = 0
  for (let i = 0; i < a.count; i++) {
    const j = partners[i]!
    if (j < 0 || !isContent(a, i)) continue
    const role = roleOf(a, i)
    const other = roleOf(b, j)
    if (role === other || role === BY || other === BY) continue
    if (role !== 0 && other !== 0) {
      if ((role === FROM && other === TO) || (role === TO && other === FROM)) return 1 << TO
    } else if (role === 0) gained |= 1 << other
    else lost |= 1 << role
  }
  return gained & lost
}

/** Three content words in a row, and the same backwards. */
const isBackwards = (a: Analysis, b: Analysis, { a: { partners } }: Alignment): boolean => {
  let first = -1
  let second = -1
  for (let third = 0; third < a.count; third++) {
    if (!isContent(a, third)) continue
    if (first >= 0) {
      const [x, y, z] = [partners[first]!, partners[second]!, partners[third]!]
      if (z >= 0 && z < y && y < x && isNextContent(b, z, y) && isNextContent(b, y, x) && !hasBy(a) && !hasBy(b)) {
        return roleOf(a, third) === 0 && roleOf(b, x) === 0
      }
    }
    first = second
    second = third
  }
  return false
}

const isNextContent = (text: Analysis, from: number, to: number): boolean => {
  for (let i = from + 1; i < to; i++) if (isContent(text, i)) return false
  return true
}

const JOINING = new Set(["by", "and", "or", "between", "vs", "versus", "with", "of", "is", "are"].map(wordHash))

/** Whether the text has a word that lets what it joins stand in either order. */
const hasBy = (text: Analysis): boolean => {
  for (let i = 1; i < text.count; i++) if (JOINING.has(text.hashes[i]!)) return true
  return false
}
