/** Bytes that grow older with use: a hand goes round over all rows, a few at each event, and changes what it passes. */
import type { PolicyRows } from "./policy.ts"

/** Rows that the hand passes at an event: it comes round once in so many events as there are rows, divided by this. */
const ROWS_AN_EVENT = 64

export class Ageing {
  readonly #rows: PolicyRows
  readonly #age: (row: number) => void
  #hand = 0

  /** `age` is called with each row that the hand passes. */
  constructor(rows: PolicyRows, age: (row: number) => void) {
    this.#rows = rows
    this.#age = age
  }

  /** One event: something was stored or served. */
  step(): void {
    const { rows } = this.#rows
    for (let i = Math.min(ROWS_AN_EVENT, rows); i > 0; i--) {
      if (this.#hand >= rows) this.#hand = 0
      this.#age(this.#hand++)
    }
  }
}
