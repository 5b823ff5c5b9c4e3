/** Writers of pools in one collection, one after another: who gives way is decided by what is there. */
import { AsyncLocalStorage } from "node:async_hooks"
import { Deadlock } from "../errors.ts"

/** What a writer has called of its caller's, a measure or a policy, and waits for. */
interface Callback {
  readonly of: Serial
  /** The callback that it was called in, by way of a writer of another collection. */
  readonly within: Callback | undefined
  isOver: boolean
}

const callbacks = new AsyncLocalStorage<Callback>()

/** The callback that what runs now was begun in, if a writer still waits for it. */
const current = (): Callback | undefined => {
  let callback = callbacks.getStore()
  while (callback?.isOver) callback = callback.within
  return callback
}

export class Serial {
  #last: Promise<unknown> = Promise.resolve()
  /** Writers of other collections that callbacks of these have begun. */
  readonly #begun: Array<Serial> = []

  /** Runs `work` once all that was asked for before has ended, whichever way; throws as `check` does. */
  run<A>(work: () => Promise<A>): Promise<A> {
    this.check()
    const running = this.#last.then(work, work)
    this.#last = running.catch(() => undefined)
    const within = current()?.of
    if (within !== undefined) void within.#waitFor(this, this.#last)
    return running
  }

  /** Calls what the writer of this moment waits for: writers that it begins must not come after that one. */
  async calling<A>(call: () => A): Promise<Awaited<A>> {
    const callback: Callback = { of: this, within: current(), isOver: false }
    try {
      return await callbacks.run(callback, call)
    } finally {
      callback.isOver = true
    }
  }

  /** Throws `Deadlock` in a callback that a writer of these waits for: they would wait for one another. */
  check(): void {
    const callback = current()
    if (callback !== undefined && this.#comesAfter(callback.of)) throw new Deadlock()
  }

  /** Whether writers of these end only when one of the others does; nothing goes round, for `check` refuses it. */
  #comesAfter(others: Serial): boolean {
    return this === others || this.#begun.some((begun) => begun.#comesAfter(others))
  }

  async #waitFor(begun: Serial, ended: Promise<unknown>): Promise<void> {
    this.#begun.push(begun)
    await ended
    this.#begun.splice(this.#begun.indexOf(begun), 1)
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
