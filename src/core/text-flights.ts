/** Texts that are being encoded at this moment: whoever asks for one of them meanwhile waits for it. */

import { orCancelled } from "./abort.ts"
import { EmptyEmbedding } from "./errors.ts"

interface Flight<V> {
  readonly made: Promise<V>
  /** Of the caller who started it. */
  readonly signal: AbortSignal | undefined
}

export class TextFlights<V> {
  readonly #flying = new Map<string, Flight<V>>()

  /**
   * A value for each of these keys, each of which is there once. `make` is asked for those that nobody is making, and gives
   * them in their order. A failure is told to all who wait, but for one that is the affair of the caller who asked: what a
   * batch was given up for, or refused for another text in it, is made anew.
   */
  async all(
    keys: ReadonlyArray<string>,
    signal: AbortSignal | undefined,
    make: (keys: ReadonlyArray<string>) => Promise<ReadonlyArray<V>>
  ): Promise<ReadonlyMap<string, V>> {
    const others = keys.flatMap((key) => {
      const flight = this.#flying.get(key)
      return flight === undefined ? [] : [{ key, flight }]
    })
    const own = others.length === 0 ? keys : keys.filter((key) => !this.#flying.has(key))
    const making = own.length === 0 ? Promise.resolve([]) : this.#start(own, signal, make)
    const waiting = Promise.all(others.map(({ key, flight }) => this.#of(key, flight)))
    waiting.catch(() => undefined)
    const values = new Map((await making).map((value, i) => [own[i]!, value]))
    const anew: Array<string> = []
    for (const { key, value } of await (signal === undefined ? waiting : orCancelled(waiting, signal))) {
      if (value === undefined) anew.push(key)
      else values.set(key, value.made)
    }
    if (anew.length > 0) for (const [key, value] of await this.all(anew, signal, make)) values.set(key, value)
    return values
  }

  /** What somebody else's flight comes to; without a value where that is to be found out anew. */
  async #of(key: string, { made, signal }: Flight<V>) {
    try {
      return { key, value: { made: await made } }
    } catch (error) {
      if (signal?.aborted || error instanceof EmptyEmbedding) return { key, value: undefined }
      throw error
    }
  }

  #start(
    keys: ReadonlyArray<string>,
    signal: AbortSignal | undefined,
    make: (keys: ReadonlyArray<string>) => Promise<ReadonlyArray<V>>
  ): Promise<ReadonlyArray<V>> {
    const making = make(keys)
    for (const [i, key] of keys.entries()) {
      const made = making.then((values) => values[i]!)
      const flight = { made, signal }
      this.#flying.set(key, flight)
      // Told to those who wait, and to nobody where none does.
      const end = () => this.#flying.delete(key)
      made.then(end, end)
    }
    return making
  }
}
