/** Whether two words are forms of one name: an adjective of it, an abbreviation, a misspelling. */
import type { Analysis } from "./analysis.ts"

/** Units that words share from the start when one is made from the other. */
const LEAST_STEM = 4
/** A misspelling changes this many units at most, of words this long. */
const MOST_EDITS = 2
const LEAST_MISSPELT = 5

export const isSameName = (a: Analysis, i: number, b: Analysis, j: number): boolean => {
  const alias = a.words[i]!.entry?.alias ?? 0
  if (alias !== 0 && alias === b.words[j]!.entry?.alias) return true
  const [from, to] = [a.start(i), a.ends[i]!]
  const [other, end] = [b.start(j), b.ends[j]!]
  const shorter = Math.min(to - from, end - other)
  let shared = 0
  while (shared < shorter && a.units[from + shared] === b.units[other + shared]) shared++
  if (shared >= LEAST_STEM && shared >= shorter - 1) return true
  if (isAcronym(a, from, to, b, j) || isAcronym(b, other, end, a, i)) return true
  // One of them is a word, and the other is nearly that.
  if (isWord(a, i) === isWord(b, j) || shorter < LEAST_MISSPELT) return false
  return isWithinEdits(a.units, from, to, b.units, other, end)
}

const isWord = (text: Analysis, i: number): boolean => text.words[i]!.isPiece

/** Whether `units[from..to)` starts with the first letters of words about word `j`: two of them at least. */
const isAcronym = (a: Analysis, from: number, to: number, b: Analysis, j: number): boolean => {
  const length = to - from
  if (length < 2 || length > 5) return false
  for (let first = Math.max(0, j - length + 1); first <= j; first++) {
    let letters = 0
    while (
      letters < length &&
      first + letters < b.count &&
      b.units[b.start(first + letters)] === a.units[from + letters]
    ) {
      letters++
    }
    if (letters >= 2 && letters >= length - 1 && first + letters > j) return true
  }
  return false
}

const row = new Uint8Array(64)

/** Levenshtein distance of at most `MOST_EDITS`, of words of up to 63 units. */
const isWithinEdits = (
  a: Uint16Array,
  from: number,
  to: number,
  b: Uint16Array,
  other: number,
  end: number
): boolean => {
  const [n, m] = [to - from, end - other]
  if (Math.abs(n - m) > MOST_EDITS || Math.max(n, m) >= row.length) return false
  for (let j = 0; j <= m; j++) row[j] = j
  for (let i = 1; i <= n; i++) {
    let diagonal = row[0]!
    row[0] = i
    for (let j = 1; j <= m; j++) {
      const above = row[j]!
      const changed = diagonal + (a[from + i - 1] === b[other + j - 1] ? 0 : 1)
      row[j] = Math.min(changed, above + 1, row[j - 1]! + 1)
      diagonal = above
    }
  }
  return row[m]! <= MOST_EDITS
}
