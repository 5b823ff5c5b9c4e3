/** Endings of English words that do not change what is asked for. */

const A = 97
const isVowel = (unit: number): boolean =>
  unit === 97 || unit === 101 || unit === 105 || unit === 111 || unit === 117 || unit === 121

const ends = (units: Uint16Array, to: number, ending: string): boolean => {
  for (let i = 0; i < ending.length; i++) if (units[to - ending.length + i] !== ending.charCodeAt(i)) return false
  return true
}

const hasVowel = (units: Uint16Array, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) if (isVowel(units[i]!)) return true
  return false
}

/** Where the stem of the lower-cased word `units[from..to)` ends. Plural, participle, gerund and a silent e are cut. */
export const stemEnd = (units: Uint16Array, from: number, to: number): number => {
  let end = to
  if (end - from <= 3 || units[from]! < A || units[from]! > 122) return end
  if (ends(units, end, "s") && !ends(units, end, "ss") && !ends(units, end, "us") && !ends(units, end, "is")) {
    end -= 1
    if (ends(units, end, "ie") && end - from > 3) end -= 1
    else if (ends(units, end, "sse") || ends(units, end, "xe") || ends(units, end, "che") || ends(units, end, "she"))
      end -= 1
  }
  for (const ending of ["ing", "ed"]) {
    const cut = end - ending.length
    if (cut - from >= 3 && ends(units, end, ending) && hasVowel(units, from, cut)) {
      end = cut
      if (
        units[end - 1] === units[end - 2] &&
        !isVowel(units[end - 1]!) &&
        !ends(units, end, "ll") &&
        !ends(units, end, "ss")
      )
        end -= 1
      break
    }
  }
  if (end - from > 3 && units[end - 1] === 101) end -= 1
  return end
}

/** Prefixes that turn a word into its opposite. */
const PRIVATIVES = ["un", "in", "im", "il", "ir", "dis", "non", "de", "mis", "anti"]
const LEAST_BARE = 3

/** Where `units[from..to)` starts without such a prefix; `from` where it has none. */
export const bareStart = (units: Uint16Array, from: number, to: number): number => {
  for (const prefix of PRIVATIVES) {
    const start = from + prefix.length
    if (to - start >= LEAST_BARE && ends(units, start, prefix)) return start
  }
  return from
}
