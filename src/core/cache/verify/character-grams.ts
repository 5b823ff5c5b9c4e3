/** The character trigrams of a text as a multiset of hashes. */

const SPACE = 32
const MASK = 0xffff

/** How often each hash is in the text that is compared; all zero in between. */
const counts = new Uint16Array(MASK + 1)

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
    this.count = n
  }

  /** Trigrams in both, each as often as it is in both. */
  shared(other: CharacterGrams): number {
    const own = this.#values
    const others = other.#values
    let shared = 0
    for (let i = 0; i < this.count; i++) counts[own[i]!]!++
    for (let i = 0; i < other.count; i++) {
      const value = others[i]!
      if (counts[value]! === 0) continue
      counts[value]!--
      shared++
    }
    for (let i = 0; i < this.count; i++) counts[own[i]!] = 0
    return shared
  }
}
