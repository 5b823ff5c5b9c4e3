/** What a writer outside this process said that it began and was told is done, and what may be there when it is dead. */
import type { State } from "./rows.ts"

/** What one call sets its entries to; all of them or none. */
export interface Begun {
  readonly begun: number
  readonly changes: ReadonlyArray<readonly [number: number, state: State | null]>
  readonly isRestore?: boolean
}

/** The call of this number was acknowledged. */
export interface Acked {
  readonly acked: number
}

/** A checkpoint of this name was acknowledged; a restore of it sets all entries to these. */
export interface Kept {
  readonly kept: string
  readonly states: ReadonlyArray<readonly [number: number, state: string]>
}

/** A checkpoint is about to be deleted. */
export interface Dropped {
  readonly dropped: string
}

export type Event = Begun | Acked | Kept | Dropped

/** How often something went wrong that must not. */
export interface Losses {
  /** Acknowledged writes that are not there. */
  lost: number
  /** Entries that were deleted and are there. */
  resurrected: number
  /** Calls of which some entries were written and others not. */
  partial: number
}

export class Oracle {
  /** The state of each entry by acknowledged calls alone. */
  readonly #known = new Map<number, State>()
  readonly #open = new Map<number, Begun["changes"]>()
  /** Checkpoints that must be there. */
  readonly checkpoints = new Map<string, Kept["states"]>()
  acked = 0
  kept = 0
  /** Restores that were begun. */
  restores = 0

  take(event: Event): void {
    if ("begun" in event) {
      this.#open.set(event.begun, event.changes)
      if (event.isRestore) this.restores++
      return
    }
    if ("kept" in event) {
      this.checkpoints.set(event.kept, event.states)
      this.kept++
      return
    }
    if ("dropped" in event) {
      this.checkpoints.delete(event.dropped)
      return
    }
    this.acked++
    for (const [number, state] of this.#open.get(event.acked) ?? []) this.#set(number, state ?? undefined)
    this.#open.delete(event.acked)
  }

  /** Compares what is there with what may be there, and knows it from then on. */
  settle(found: ReadonlyMap<number, string>): Losses & { readonly examples: ReadonlyArray<string> } {
    const losses = { lost: 0, resurrected: 0, partial: 0 }
    const examples: Array<string> = []
    const wanted = new Map<number, State | null>()
    for (const changes of this.#open.values()) {
      for (const [number, state] of changes) wanted.set(number, state)
      const moved = changes.filter(([number]) => found.get(number) !== this.#known.get(number))
      if (moved.length > 0 && moved.length < changes.length) losses.partial++
    }
    for (const number of new Set([...this.#known.keys(), ...found.keys(), ...wanted.keys()])) {
      const [is, was, may] = [found.get(number), this.#known.get(number), wanted.get(number)]
      if (is === was || (wanted.has(number) && is === (may ?? undefined))) continue
      if (was === undefined) losses.resurrected++
      else losses.lost++
      examples.push(
        `entry ${number} is ${is}, was acknowledged as ${was}${wanted.has(number) ? `, may be ${may}` : ""}`
      )
    }
    this.#open.clear()
    this.#known.clear()
    for (const [number, state] of found) this.#known.set(number, state)
    return { ...losses, examples }
  }

  #set(number: number, state: State): void {
    if (state === undefined) this.#known.delete(number)
    else this.#known.set(number, state)
  }
}
