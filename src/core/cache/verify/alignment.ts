/** Which words of two texts go together: those of one stem first, then the nearest by their vectors. */
import { type Analysis, FUNCTION, MOST_WORDS } from "./analysis.ts"

/** Words without a partner that are compared by their vectors: words of content, the first of them. */
const MOST_COMPARED = 8

/** One text of an alignment. */
export interface Side {
  /** Partner of each word, -1 for none. */
  readonly partners: Int16Array
  /** Words without a partner, in order. */
  readonly lone: Int16Array
  count: number
  /** Of each lone word: cosine with the nearest lone word of the other text, 0 and more; -1 when it was not compared. */
  readonly nearest: Float32Array
  /** Places in `lone` of those that are compared. */
  readonly chosen: Int16Array
  chosenCount: number
}

const side = (): Side => ({
  partners: new Int16Array(MOST_WORDS),
  lone: new Int16Array(MOST_WORDS),
  count: 0,
  nearest: new Float32Array(MOST_WORDS),
  chosen: new Int16Array(MOST_COMPARED),
  chosenCount: 0
})

/** Made anew for each pair of texts, in memory that is used again. */
export class Alignment {
  readonly a = side()
  readonly b = side()
  /** Mean cosine of a lone word of one text with one of the other, by their weights. */
  loneCosine = 0

  align(first: Analysis, second: Analysis): void {
    // Which of a word's repetitions find partners depends on who looks first: always the same of two texts.
    if (isBefore(first, second)) pair(first, this.a, second, this.b)
    else pair(second, this.b, first, this.a)
    choose(first, this.a)
    choose(second, this.b)
    this.#compare(first, second)
  }

  #compare(first: Analysis, second: Analysis): void {
    const { a, b } = this
    let sum = 0
    let weights = 0
    for (let x = 0; x < a.chosenCount && b.chosenCount > 0; x++) {
      const own = a.chosen[x]!
      const i = a.lone[own]!
      for (let y = 0; y < b.chosenCount; y++) {
        const others = b.chosen[y]!
        const j = b.lone[others]!
        const cosine = first.cosine(i, second, j)
        const weight = first.weights[i]! * second.weights[j]!
        sum += weight * cosine
        weights += weight
        if (cosine > a.nearest[own]!) a.nearest[own] = cosine
        if (cosine > b.nearest[others]!) b.nearest[others] = cosine
      }
    }
    this.loneCosine = weights > 0 ? sum / weights : 0
  }
}

/** Lists the lone words that are compared; grammar has no meaning of its own to compare. */
const choose = (text: Analysis, own: Side): void => {
  own.chosenCount = 0
  for (let x = 0; x < own.count; x++) {
    const isCompared = own.chosenCount < MOST_COMPARED && (text.kinds[own.lone[x]!]! & FUNCTION) === 0
    own.nearest[x] = isCompared ? 0 : -1
    if (isCompared) own.chosen[own.chosenCount++] = x
  }
}

/** An order of texts by their words: fewer first, then by the first stems that differ. */
const isBefore = (a: Analysis, b: Analysis): boolean => {
  if (a.count !== b.count) return a.count < b.count
  let i = 0
  while (i < a.count && a.stems[i] === b.stems[i]) i++
  return i === a.count || a.stems[i]! < b.stems[i]!
}

/** Pairs words of one stem, and lists those of both texts that are left alone. */
const pair = (first: Analysis, own: Side, second: Analysis, other: Side): void => {
  const { stems, count } = second
  own.count = 0
  other.count = 0
  other.partners.fill(-1, 0, count)
  for (let i = 0, next = 0; i < first.count; i++) {
    const partner = find(stems, other.partners, first.stems[i]!, next, count)
    own.partners[i] = partner
    if (partner < 0) own.lone[own.count++] = i
    else {
      other.partners[partner] = i
      next = partner + 1
    }
  }
  for (let j = 0; j < count; j++) if (other.partners[j]! < 0) other.lone[other.count++] = j
}

/** A free word of this stem from `next` on, or else before it: repeated words keep their order. */
const find = (stems: Int32Array, taken: Int16Array, stem: number, next: number, count: number): number => {
  for (let j = next; j < count; j++) if (stems[j] === stem && taken[j]! < 0) return j
  for (let j = 0; j < next; j++) if (stems[j] === stem && taken[j]! < 0) return j
  return -1
}
