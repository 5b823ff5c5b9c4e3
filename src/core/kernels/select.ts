/** The best few of many scored rows. */

/**
 * Keeps the best `capacity` of the rows offered: higher scores first, equal scores by lower row.
 * A heap with the worst kept row at its root, in two flat arrays. A score that is not a number is
 * never kept.
 */
export class TopRows {
  readonly #capacity: number
  readonly #scores: Float32Array
  readonly #rows: Uint32Array
  readonly #seed: number
  #size = 0

  /** Nothing is kept that does not exceed `seed`. */
  constructor(capacity: number, seed = Number.NaN) {
    this.#capacity = capacity
    this.#seed = Math.fround(seed)
    this.#scores = new Float32Array(capacity)
    this.#rows = new Uint32Array(capacity)
  }

  offer(score: number, row: number): void {
    if (this.#size < this.#capacity) {
      if (Number.isNaN(score) || score <= this.#seed) return
      this.#raise(this.#size++, score, row)
    } else if (
      this.#capacity > 0 &&
      (score > this.#scores[0]! || (score === this.#scores[0] && row < this.#rows[0]!))
    ) {
      this.#sink(0, this.#size, score, row)
    }
  }

  /** Rows that are kept. */
  get size(): number {
    return this.#size
  }

  /** The `k`-th best score that is kept; minus infinity while there are fewer. */
  bestAt(k: number): number {
    return this.#scores.slice(0, this.#size).sort().at(-k) ?? Number.NEGATIVE_INFINITY
  }

  /** The kept rows, best first. The selection is used up. */
  take(): { readonly rows: Uint32Array; readonly scores: Float32Array } {
    const size = this.#size
    for (let end = size - 1; end > 0; end--) {
      const score = this.#scores[end]!
      const row = this.#rows[end]!
      this.#scores[end] = this.#scores[0]!
      this.#rows[end] = this.#rows[0]!
      this.#sink(0, end, score, row)
    }
    this.#size = 0
    return { rows: this.#rows.subarray(0, size), scores: this.#scores.subarray(0, size) }
  }

  /** Whether the entry at `at` ranks behind `score` and `row`. */
  #isWorse(at: number, score: number, row: number): boolean {
    return this.#scores[at]! < score || (this.#scores[at] === score && this.#rows[at]! > row)
  }

  #put(at: number, score: number, row: number): void {
    this.#scores[at] = score
    this.#rows[at] = row
  }

  /** Fills the hole at `hole` with an entry, moving better parents down. */
  #raise(hole: number, score: number, row: number): void {
    let at = hole
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isWorse(parent, score, row)) {
        this.#put(at, this.#scores[parent]!, this.#rows[parent]!)
        at = parent
      } else break
    }
    this.#put(at, score, row)
  }

  /** Fills the hole at `hole` of a heap of `size` with an entry, moving worse children up. */
  #sink(hole: number, size: number, score: number, row: number): void {
    let at = hole
    for (let child = 2 * at + 1; child < size; child = 2 * at + 1) {
      const sibling = child + 1
      if (sibling < size && this.#isWorse(sibling, this.#scores[child]!, this.#rows[child]!)) child = sibling
      if (!this.#isWorse(child, score, row)) break
      this.#put(at, this.#scores[child]!, this.#rows[child]!)
      at = child
    }
    this.#put(at, score, row)
  }
}
