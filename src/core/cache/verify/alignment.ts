/** Which words of two texts go together: those of one stem first, then the nearest by their vectors. */
import { type Analysis, MOST_WORDS } from "./analysis.ts"

/** Words without a partner that are compared by their vectors. */
const MOST_COMPARED = 12

/** One text of an alignment. */
export interface Side {
  /** Partner of each word, -1 for none. */
  readonly partners: Int16Array
  /** Words without a partner, in order. */
  readonly lone: Int16Array
  count: number
  /** Of the first `MOST_COMPARED` lone words: cosine with the nearest lone word of the other text, 0 and more. */
  readonly nearest: Float32Array
}

const side = (): Side => ({
  partners: new Int16Array(MOST_WORDS),
  lone: new Int16Array(MOST_WORDS),
  count: 0,
  nearest: new Float32Array(MOST_COMPARED)
})

export const compared = ({ count }: Side): number => Math.min(count, MOST_COMPARED)

/** Made anew for each pair of texts, in memory that is used again. */
export class Alignment {
  readonly a = side()
  readonly b = side()
  /** Cosines of lone words, row-major over those of `a`. */
  readonly cosines = new Float32Array(MOST_COMPARED * MOST_COMPARED)

  align(first: Analysis, second: Analysis): void {
    // Which of a word's repetitions find partners depends on who looks first: always the same of two texts.
    if (isBefore(first, second)) pair(first, this.a, second, this.b)
    else pair(second, this.b, first, this.a)
    this.#compare(first, second)
  }

  #compare(first: Analysis, second: Analysis): void {
    const { a, b, cosines } = this
    const rows = compared(a)
    const columns = compared(b)
    a.nearest.fill(0, 0, rows)
    b.nearest.fill(0, 0, columns)
    for (let x = 0; x < rows && columns > 0; x++) {
      const from = first.vectorAt(a.lone[x]!)
      for (let y = 0; y < columns; y++) {
        const other = second.vectorAt(b.lone[y]!)
        const cosine = from < 0 || other < 0 ? 0 : dot(first.vectors, from, second.vectors, other)
        cosines[x * MOST_COMPARED + y] = cosine
        if (cosine > a.nearest[x]!) a.nearest[x] = cosine
        if (cosine > b.nearest[y]!) b.nearest[y] = cosine
      }
    }
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

/** Inner product of two vectors of 256 components. */
export const dot = (a: Float32Array, from: number, b: Float32Array, other: number): number => {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  for (let c = 0; c < 256; c += 4) {
    s0 += a[from + c]! * b[other + c]!
    s1 += a[from + c + 1]! * b[other + c + 1]!
    s2 += a[from + c + 2]! * b[other + c + 2]!
    s3 += a[from + c + 3]! * b[other + c + 3]!
  }
  return s0 + s1 + s2 + s3
}
