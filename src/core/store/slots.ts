/**
 * Slots that no row is in: free ones, and those that readers may still hold, with the records of rows that are gone.
 *
 * While a store is compacted, slots from a bound on are kept back: what is freed there is not used again.
 */
import { type Directory, notAfter } from "./directory.ts"

/** Freed slots that gather before a new epoch is started for them. */
const LIMBO_BATCH = 64
/** In place of the row or the record of what was freed. */
const NONE = -1

/** A slot and its record that readers may still hold. */
interface Freed {
  readonly row: number
  readonly address: number
  readonly epoch: number
}

/** What is done with what was freed once no reader can hold it. */
interface Ending {
  /** Gives a record back. */
  readonly freeRecord: (address: number) => void
  /** Told the newest epoch that no reader is in any more. */
  readonly ended: (epoch: number) => void
}

export class Slots {
  readonly #directory: Directory
  readonly #ending: Ending
  #free: Array<number> = []
  #limbo: Array<Freed> = []
  #bound = Number.POSITIVE_INFINITY
  /** Free slots that are kept back. */
  #kept: Array<number> = []

  constructor(directory: Directory, ending: Ending) {
    this.#directory = directory
    this.#ending = ending
  }

  /** Slots that can be used at once. */
  get free(): number {
    return this.#free.length
  }

  /** Whether slots are kept back. */
  get isBounded(): boolean {
    return this.#bound !== Number.POSITIVE_INFINITY
  }

  /** Slots that are free and kept back. */
  get kept(): number {
    return this.#kept.length
  }

  /** A slot to use again; there is one. */
  take(): number {
    return this.#free.pop()!
  }

  /** Takes in a slot that no reader can hold. */
  give(row: number): void {
    if (row < this.#bound) this.#free.push(row)
    else this.#kept.push(row)
  }

  /** Makes sure that `count` slots can be used, if that many are free at all. */
  gather(count: number): void {
    if (this.#free.length < count && this.#limbo.length >= LIMBO_BATCH) this.reclaim()
    if (this.#free.length < count && this.isBounded) this.unbind()
  }

  /** Keeps slots from `bound` on back, until `unbind`. */
  bind(bound: number): void {
    this.unbind()
    this.#bound = bound
    const free = this.#free
    this.#free = []
    for (const row of free) this.give(row)
  }

  /** Slots that were kept back can be used again. */
  unbind(): void {
    this.#bound = Number.POSITIVE_INFINITY
    const kept = this.#kept
    this.#kept = []
    for (const row of kept) this.#free.push(row)
  }

  /** Forgets the slots that are kept back: there are none from the bound on any more. */
  cut(): void {
    this.#kept = []
    this.#bound = Number.POSITIVE_INFINITY
  }

  /** Keeps a slot and its record until no reader can still hold them. */
  bury(row: number, address: number): void {
    this.#limbo.push({ row, address, epoch: this.#directory.epoch })
    if (this.#limbo.length % LIMBO_BATCH === 0) this.reclaim()
  }

  /** As `bury`, for a record alone. */
  buryRecord(address: number): void {
    this.bury(NONE, address)
  }

  /** As `bury`, for a slot whose record is another row's now. */
  burySlot(row: number): void {
    this.bury(row, NONE)
  }

  /** Takes back what no reader can hold any more; the newest epoch that none is in. */
  reclaim(): number {
    const ended = this.#directory.advance()
    this.#ending.ended(ended)
    const held = this.#limbo.findIndex((freed) => !notAfter(freed.epoch, ended))
    if (held === 0) return ended
    const safe = held < 0 ? this.#limbo : this.#limbo.slice(0, held)
    this.#limbo = held < 0 ? [] : this.#limbo.slice(held)
    for (const { row, address } of safe) {
      if (address !== NONE) this.#ending.freeRecord(address)
      if (row !== NONE) this.give(row)
    }
    return ended
  }
}
