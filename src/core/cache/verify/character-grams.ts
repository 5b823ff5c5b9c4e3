/** The character trigrams of a text as a sorted multiset of hashes. */

/** Values that a hashed trigram may have. */
const SPACE = 32
const MASK = 0xffff

export class CharacterGrams {
  count = 0
  readonly #values: Uint16Array

  constructor(most: number) {
    this.#values = new Uint16Array(2 * most)
  }

  /** Reads the words `units[..ends[count - 1])` with a space before, between and behind them. */
  read(units: Uint16Array, ends: Uint16Array, count: number): void {
    let n = 0
    let a = SPACE
    let b = SPACE
    let from = 0
    for (let w = 0; w < count; w++) {
      const end = ends[w]!
      for (let i = from; i <= end; i++) {
        const c = i < end ? units[i]! : SPACE
        this.#values[n++] = (Math.imul(a, 0x9e3b) ^ Math.imul(b, 0x5bd1) ^ Math.imul(c, 0x1b87)) & MASK
        a = b
        b = c
      }
      from = end
    }
    this.#values.subarray(0, n).sort()
    this.count = n
  }

  /** Trigrams in both, each as often as it is in both. */
  shared(other: CharacterGrams): number {
    const a = this.#values
    const b = other.#values
    let i = 0
    let j = 0
    let shared = 0
    while (i < this.count && j < other.count) {
      const difference = a[i]! - b[j]!
      if (difference === 0) shared++
      if (difference <= 0) i++
      if (difference >= 0) j++
    }
    return shared
  }
}
