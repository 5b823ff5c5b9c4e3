/** Writers of pools in one collection, one after another: who gives way is decided by what is there. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` once all that was asked for before has ended, whichever way. */
  run<A>(work: () => Promise<A>): Promise<A> {
    const running = this.#last.then(work, work)
    this.#last = running.catch(() => undefined)
    return running
  }
}

const serials = new WeakMap<object, Serial>()

/** What all pools of a store wait for. */
export const serialOf = (store: object): Serial => {
  const known = serials.get(store)
  if (known !== undefined) return known
  const serial = new Serial()
  serials.set(store, serial)
  return serial
}
