/** Texts that are being encoded at this moment: whoever asks for one of them meanwhile waits for it. */

import { orCancelled } from "./abort.ts"
import { EmptyEmbedding } from "./errors.ts"
import { forEachSliced } from "./slice.ts"

/** What one call makes, for all who wait for a part of it. */
interface Batch<V> {
  /** The values of its keys, in their order. */
  readonly made: Promise<ReadonlyArray<V>>
  readonly places: Map<string, number>
  /** Of the caller who started it. */
  readonly signal: AbortSignal | undefined
  /** Whether it has come to something: who asks from now on does not wait for it. */
  isOver: boolean
}

/** Makes the values of keys, in their order. */
type Make<V> = (keys: ReadonlyArray<string>) => Promise<ReadonlyArray<V>>

export class TextFlights<V> {
  readonly #flying = new Map<string, Batch<V>>()

  /**
   * A value for each of these keys, each of which is there once. `make` is asked for those that nobody is making. A
   * failure is told to all who wait, but for one that is the affair of the caller who asked: what a
   * batch was given up for, or refused for another text in it, is made anew.
   */
  async all(
    keys: ReadonlyArray<string>,
    signal: AbortSignal | undefined,
    make: Make<V>
  ): Promise<ReadonlyMap<string, V>> {
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlyArray<V>>()
    const batch: Batch<V> = { made: promise, places: new Map(), signal, isOver: false }
    // Told to those who wait, and to nobody where none does.
    promise.catch(() => undefined)
    const own: Array<string> = []
    const others = new Map<Batch<V>, Array<string>>()
    await forEachSliced(keys.length, undefined, (i) => {
      const key = keys[i]!
      const flying = this.#flying.get(key)
      if (flying === undefined || flying.isOver) {
        this.#flying.set(key, batch)
        batch.places.set(key, own.push(key) - 1)
      } else if (!others.get(flying)?.push(key)) others.set(flying, [key])
    })
    if (own.length > 0) this.#fly(batch, own, make).then(resolve, reject)
    else resolve([])
    const waiting = Promise.all(Array.from(others, ([other, wanted]) => this.#of(other, wanted, signal, make)))
    waiting.catch(() => undefined)
    const values = new Map<string, V>()
    const made = await promise
    await forEachSliced(own.length, undefined, (i) => values.set(own[i]!, made[i]!))
    for (const { wanted, find } of await (signal === undefined ? waiting : orCancelled(waiting, signal))) {
      await forEachSliced(wanted.length, undefined, (i) => values.set(wanted[i]!, find(wanted[i]!)!))
    }
    return values
  }

  /** What somebody else's batch comes to, or what is made anew in its place. */
  async #of(
    { made, places, signal: others }: Batch<V>,
    wanted: ReadonlyArray<string>,
    signal: AbortSignal | undefined,
    make: Make<V>
  ) {
    try {
      const values = await made
      return { wanted, find: (key: string) => values[places.get(key)!] }
    } catch (error) {
      if (!others?.aborted && !(error instanceof EmptyEmbedding)) throw error
      const again = await this.all(wanted, signal, make)
      return { wanted, find: (key: string) => again.get(key) }
    }
  }

  async #fly(batch: Batch<V>, keys: ReadonlyArray<string>, make: Make<V>): Promise<ReadonlyArray<V>> {
    try {
      return await make(keys)
    } finally {
      batch.isOver = true
      // Nobody waits for that: whoever comes meanwhile sees that it is over.
      void forEachSliced(keys.length, undefined, (i) => {
        if (this.#flying.get(keys[i]!) === batch) this.#flying.delete(keys[i]!)
      })
    }
  }
}
