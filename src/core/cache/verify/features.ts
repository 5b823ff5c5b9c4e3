/** Numbers that tell whether two questions ask for the same: what the model of the verifier sees of a candidate. */
import type { Alignment, Side } from "./alignment.ts"
import { type Analysis, CAPITAL, FUNCTION, NUMBER } from "./analysis.ts"
import type { Candidate } from "./verifier.ts"

/** What is read off the vectors of the candidates alone. */
const OF_VECTORS = [
  "similarity",
  "behindBest",
  "beforeNext",
  "bestBeforeNext",
  "beforeOthers",
  "last",
  "rank",
  "logCached"
]

/** What is read off the two texts. */
const OF_TEXTS = [
  "sharedOfQuery",
  "sharedOfCached",
  "exactDice",
  "dice",
  "heaviestLoneQuery",
  "heaviestLoneCached",
  "loneWeightQuery",
  "loneWeightCached",
  "loneQuery",
  "loneCached",
  "bigrams",
  "trigramDice",
  "trigramsOfQuery",
  "trigramsOfCached",
  "numbers",
  "negation",
  "lengthDifference",
  "shorter",
  "longer",
  "sameFirst",
  "sameLast",
  "questionQuery",
  "questionCached",
  "softQuery",
  "softCached",
  "worstQuery",
  "worstCached",
  "loneCosine",
  "bestPair",
  "contentQuery",
  "contentCached",
  "capitalQuery",
  "capitalCached",
  "outOfOrder",
  "samePrefix",
  "sameSuffix",
  "loneGrammar",
  "weightQuery",
  "weightCached"
]

/** What sets a candidate apart from the others of its look-up. */
const OF_RIVALS = ["diceLead", "softLead", "trigramLead"]

export const FEATURES: ReadonlyArray<string> = [...OF_VECTORS, ...OF_TEXTS, ...OF_RIVALS]

/** Where the features of the two texts start. */
const TEXTS_FROM = OF_VECTORS.length
const RIVALS_FROM = TEXTS_FROM + OF_TEXTS.length

const DICE = FEATURES.indexOf("dice")
const SOFT = FEATURES.indexOf("softQuery")
const TRIGRAMS = FEATURES.indexOf("trigramDice")

interface Lone {
  heaviest: number
  weight: number
  content: number
  grammar: number
  capital: number
  numbers: number
  soft: number
  worst: number
}

const loneOf = (text: Analysis, side: Side): Lone => {
  const found: Lone = { heaviest: 0, weight: 0, content: 0, grammar: 0, capital: 0, numbers: 0, soft: 0, worst: 0 }
  for (let x = 0; x < side.count; x++) {
    const i = side.lone[x]!
    const weight = text.weights[i]!
    const kind = text.kinds[i]!
    const nearest = Math.max(0, side.nearest[x]!)
    found.weight += weight
    if (weight > found.heaviest) found.heaviest = weight
    if ((kind & FUNCTION) !== 0) found.grammar++
    else found.content++
    if ((kind & CAPITAL) !== 0 && weight > found.capital) found.capital = weight
    if ((kind & NUMBER) !== 0) found.numbers++
    found.soft += nearest * weight
    const missing = (1 - nearest) * weight
    if (missing > found.worst) found.worst = missing
  }
  return found
}

/** Writes what the texts of a query and a candidate say, of the row of features that starts at `out[at]`. */
export const compareTexts = (
  query: Analysis,
  cached: Analysis,
  alignment: Alignment,
  out: Float32Array,
  at: number
): void => {
  const { a, b } = alignment
  const own = loneOf(query, a)
  const others = loneOf(cached, b)
  const shared = query.weight - own.weight
  const { partners } = a
  let exact = 0
  let bigrams = 0
  let outOfOrder = 0
  let previous = -1
  let prefix = 0
  for (let i = 0; i < query.count; i++) {
    const j = partners[i]!
    if (j < 0) continue
    if (query.hashes[i] === cached.hashes[j]) exact += query.weights[i]!
    if (i > 0 && j > 0 && partners[i - 1] === j - 1) bigrams++
    if (i === prefix && j === prefix) prefix++
    if ((query.kinds[i]! & FUNCTION) !== 0) continue
    if (j < previous) outOfOrder++
    previous = j
  }
  let suffix = 0
  const shortest = Math.min(query.count, cached.count) - prefix
  while (suffix < shortest && query.stems[query.count - 1 - suffix] === cached.stems[cached.count - 1 - suffix])
    suffix++
  const weights = query.weight + cached.weight || 1
  const trigrams = query.grams.shared(cached.grams)
  let o = at + TEXTS_FROM
  out[o++] = shared / (query.weight || 1)
  out[o++] = shared / (cached.weight || 1)
  out[o++] = (2 * exact) / weights
  out[o++] = (2 * shared) / weights
  out[o++] = own.heaviest
  out[o++] = others.heaviest
  out[o++] = own.weight
  out[o++] = others.weight
  out[o++] = a.count
  out[o++] = b.count
  out[o++] = bigrams / Math.max(1, query.count + cached.count - 2 - bigrams)
  out[o++] = (2 * trigrams) / (query.grams.count + cached.grams.count || 1)
  out[o++] = trigrams / (query.grams.count || 1)
  out[o++] = trigrams / (cached.grams.count || 1)
  out[o++] = Math.min(own.numbers, others.numbers) * 4 + Math.max(own.numbers, others.numbers)
  out[o++] = (query.negations + cached.negations) & 1
  out[o++] = Math.abs(query.length - cached.length)
  out[o++] = Math.min(query.length, cached.length)
  out[o++] = Math.max(query.length, cached.length)
  out[o++] = query.count > 0 && cached.count > 0 && query.stems[0] === cached.stems[0] ? 1 : 0
  out[o++] = suffix > 0 || (prefix > 0 && prefix === query.count && prefix === cached.count) ? 1 : 0
  out[o++] = query.question
  out[o++] = cached.question
  out[o++] = (shared + own.soft) / (query.weight || 1)
  out[o++] = (shared + others.soft) / (cached.weight || 1)
  out[o++] = own.worst
  out[o++] = others.worst
  out[o++] = alignment.loneCosine
  out[o++] = largest(a)
  out[o++] = own.content
  out[o++] = others.content
  out[o++] = own.capital
  out[o++] = others.capital
  out[o++] = outOfOrder
  out[o++] = prefix
  out[o++] = suffix
  out[o++] = own.grammar + others.grammar
  out[o++] = query.weight
  out[o++] = cached.weight
}

const largest = (side: Side): number => {
  let most = 0
  for (let x = 0; x < side.count; x++) if (side.nearest[x]! > most) most = side.nearest[x]!
  return most
}

/** Similarity of a candidate that was not given, because it was too far: no more than this. */
const ABSENT = 0.35

/** Writes what the vectors say of the `rows` nearest candidates, nearest first, and what sets each apart from the others. */
export const compareCandidates = (
  candidates: ReadonlyArray<Candidate>,
  rows: number,
  cached: number,
  out: Float32Array
): void => {
  const similarity = (row: number): number =>
    row < rows ? candidates[row]!.similarity : Math.min(ABSENT, candidates[rows - 1]!.similarity)
  const best = similarity(0)
  const others = (similarity(2) + similarity(3) + similarity(4)) / 3
  const last = similarity(4)
  const logCached = Math.log(Math.max(1, cached))
  for (let row = 0; row < rows; row++) {
    const own = similarity(row)
    let o = row * FEATURES.length
    out[o++] = own
    out[o++] = best - own
    out[o++] = own - similarity(row + 1)
    out[o++] = best - similarity(1)
    out[o++] = own - others
    out[o++] = last
    out[o++] = row
    out[o++] = logCached
    o = row * FEATURES.length + RIVALS_FROM
    out[o++] = lead(out, row, rows, DICE)
    out[o++] = lead(out, row, rows, SOFT)
    out[o++] = lead(out, row, rows, TRIGRAMS)
  }
}

/** By how much a row is ahead of the best other one in a feature. */
const lead = (values: Float32Array, row: number, rows: number, feature: number): number => {
  let most = 0
  for (let r = 0; r < rows; r++) {
    const value = values[r * FEATURES.length + feature]!
    if (r !== row && value > most) most = value
  }
  return values[row * FEATURES.length + feature]! - most
}
