/** The best of many rows by a score, without an object for each. */
export class BestRows {
  readonly #limit: number
  /** Best first. */
  readonly rows: Array<number> = []
  readonly scores: Array<number> = []
  readonly ages: Array<number> = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Takes a row if it is among the best so far; of equals the one of lower age counts as better. */
  offer(row: number, score: number, age: number): void {
    const { rows, scores } = this
    const last = rows.length - 1
    if (rows.length === this.#limit && !this.#isBefore(score, age, last)) return
    let [low, high] = [0, rows.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBefore(score, age, middle)) high = middle
      else low = middle + 1
    }
    rows.splice(low, 0, row)
    scores.splice(low, 0, score)
    this.ages.splice(low, 0, age)
    if (rows.length <= this.#limit) return
    rows.pop()
    scores.pop()
    this.ages.pop()
  }

  #isBefore(score: number, age: number, at: number): boolean {
    return score > this.scores[at]! || (score === this.scores[at] && age < this.ages[at]!)
  }
}
