/** Writers of a pool, one after another: who gives way is decided by what is there. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` once all that was asked for before has ended, whichever way. */
  run<A>(work: () => Promise<A>): Promise<A> {
    const running = this.#last.then(work, work)
    this.#last = running.catch(() => undefined)
    return running
  }
}
