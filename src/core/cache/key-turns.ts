/** Work on one key after another: what a write found out before it waited still holds when it goes on. */

const ignored = (): void => undefined

export class KeyTurns {
  readonly #last = new Map<string, Promise<void>>()

  /** Whether there is work on a key of which whoever waits for it has not taken note. */
  isBusy(key: string): boolean {
    return this.#last.has(key)
  }

  /** Runs `work` when all that was asked for on this key before has ended, at once where there is none. */
  run<A>(key: string, work: () => Promise<A>): Promise<A> {
    const before = this.#last.get(key)
    const working = before === undefined ? work() : before.then(work)
    const ended = working.then(ignored, ignored)
    this.#last.set(key, ended)
    ended.then(() => {
      if (this.#last.get(key) === ended) this.#last.delete(key)
    })
    return working
  }
}
