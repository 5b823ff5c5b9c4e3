/** Work on one key after another: what a write found out before it waited still holds when it goes on. */

const ignored = (): void => undefined

export class KeyTurns {
  readonly #last = new Map<string, Promise<void>>()

  get isAnyBusy(): boolean {
    return this.#last.size > 0
  }

  /** Whether there is work on a key of which whoever waits for it has not taken note. */
  isBusy(key: string): boolean {
    return this.#last.has(key)
  }

  /** Runs `work` when all that was asked for on these keys before has ended, at once where there is none. */
  run<A>(keys: ReadonlyArray<string>, work: () => Promise<A>): Promise<A> {
    const before = keys.flatMap((key) => this.#last.get(key) ?? [])
    const working = before.length === 0 ? work() : Promise.all(before).then(work)
    const ended = working.then(ignored, ignored)
    for (const key of keys) this.#last.set(key, ended)
    ended.then(() => {
      for (const key of keys) if (this.#last.get(key) === ended) this.#last.delete(key)
    })
    return working
  }
}
