/**
 * How often keys were met, those that are gone included: a count-min sketch of 4-bit counters that are halved now and
 * then (TinyLFU: Einziger, Friedman and Manes, arXiv 1512.00727).
 */

const COUNTERS_A_WORD = 8
const LEAST_WORDS = 512
const DEPTH = 4
const MOST = 15
/** Counters are halved after so many counts for each entry. */
const COUNTS_AN_ENTRY = 10
/** Odd multipliers that spread a hash to the counter of each row of the sketch. */
const SEEDS = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f] as const

export class FrequencySketch {
  #words = new Uint32Array(LEAST_WORDS)
  #counts = 0

  /** Counts one use of a key, where the cache has so many entries. */
  add(hash: number, entries: number): void {
    this.#fit(entries)
    for (let i = 0; i < DEPTH; i++) {
      const { word, shift } = this.#place(hash, i)
      if (((this.#words[word]! >>> shift) & MOST) < MOST) this.#words[word]! += 1 << shift
    }
    if (++this.#counts < COUNTS_AN_ENTRY * Math.max(entries, LEAST_WORDS)) return
    this.#counts >>>= 1
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = (this.#words[i]! >>> 1) & 0x77777777
  }

  /** Uses of a key, 0 to 15: at least those since the last halving, or half of those before it. */
  estimate(hash: number): number {
    let least = MOST
    for (let i = 0; i < DEPTH; i++) {
      const { word, shift } = this.#place(hash, i)
      least = Math.min(least, (this.#words[word]! >>> shift) & MOST)
    }
    return least
  }

  get bytes(): number {
    return this.#words.byteLength
  }

  #place(hash: number, i: number): { readonly word: number; readonly shift: number } {
    const spread = Math.imul(hash ^ (hash >>> 16), SEEDS[i]!)
    return { word: (spread >>> 3) & (this.#words.length - 1), shift: 4 * ((spread >>> 29) & (COUNTERS_A_WORD - 1)) }
  }

  /** Two counters an entry at least. Twice the words, each half the old ones, estimate what those did. */
  #fit(entries: number): void {
    while (this.#words.length * COUNTERS_A_WORD < 2 * entries) {
      const words = new Uint32Array(2 * this.#words.length)
      words.set(this.#words)
      words.set(this.#words, this.#words.length)
      this.#words = words
    }
  }
}
