/** Places for so many at a time, taken in the order in which they are asked for. */
export class Places {
  #free: number
  readonly #line: Array<() => void> = []

  constructor(count: number) {
    this.#free = count
  }

  async within<A>(work: () => Promise<A>): Promise<A> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((go) => this.#line.push(go))
    try {
      return await work()
    } finally {
      const next = this.#line.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
