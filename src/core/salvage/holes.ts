/** Where writes of one collection are missing from what the log still holds. */

/** Frames after `from`, up to `to`, are not there. */
interface Hole {
  readonly from: number
  readonly to: number
}

export class Holes {
  readonly #holes: Array<Hole> = []

  /** Frames `from + 1` to `to` cannot be read, if they were ever written. */
  add(from: number, to: number): void {
    if (from < to) this.#holes.push({ from, to })
  }

  /** Whether every write between two moments is known. */
  connect(a: number, b: number): boolean {
    const [from, to] = a < b ? [a, b] : [b, a]
    return from === to || !this.#holes.some((hole) => hole.from < to && hole.to > from)
  }

  /** The holes that reach beyond a moment, from there. */
  beyond(moment: number): ReadonlyArray<Hole> {
    return this.#holes.filter(({ to }) => to > moment).map(({ from, to }) => ({ from: Math.max(from, moment), to }))
  }
}
