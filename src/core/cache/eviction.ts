/**
 * Keeps a cache within its bounds, some rows at a time: what gives way is the least worthy of a sample. Rows that are
 * chosen in a fraction of a millisecond are deleted together, and look-ups have the event loop for some milliseconds
 * before the next are.
 */
import { inNextTurn, leftInTurn } from "../turn.ts"
import { AdaptiveSize, type SizeBounds } from "./adaptive-size.ts"
import { type CacheEntries, type Leaving, TOGETHER } from "./entries.ts"
import type { EvictionPolicy } from "./policies/policy.ts"

/** Eviction begins above the first share of the bytes and ends at the second. */
const FULL = 0.9
const RELIEVED = 0.8
/** Rows that one to give way is chosen from. */
const SAMPLE = 32
/** Places looked at for a sample: slots of rows that were deleted are reused, so few are empty. */
const TRIES = 8 * SAMPLE
/** Rows up to which all are looked at. */
const SMALL = 256
/** How long rows are chosen that are deleted together, in milliseconds: deleting them takes about as long again. */
const CHOOSING_MS = 0.1
/** How long others have the event loop before more give way, in milliseconds, unless somebody waits for that. */
const REST_MS = 2

interface Bounds {
  readonly maxEntries: number
  readonly maxBytes: number | SizeBounds
}

export class Eviction {
  readonly #entries: CacheEntries
  readonly #policy: EvictionPolicy
  readonly #maxEntries: number
  readonly #fixed: number
  /** Absent where the budget of bytes is fixed. */
  readonly size: AdaptiveSize | undefined
  readonly #random: () => number
  #running: Promise<void> | undefined
  /** Settles when there is room again for one who writes. */
  #room = Promise.withResolvers<void>()
  /** Those who wait for entries to give way. */
  #waiting = 0
  #wake: () => void = () => undefined
  #isOver = false
  /** Rows of the last sample. */
  readonly #sampled = new Uint32Array(SMALL)
  /** Where the last row was found that no sample met. */
  #hand = -1
  evicted = 0

  /** `kept` is what the budget of an earlier cache had learned. */
  constructor(
    entries: CacheEntries,
    policy: EvictionPolicy,
    { maxEntries, maxBytes }: Bounds,
    random: () => number,
    kept?: unknown
  ) {
    this.#entries = entries
    this.#policy = policy
    this.#random = random
    this.#maxEntries = maxEntries
    const worths = (count: number) =>
      Array.from(this.#sampled.subarray(0, this.#sample(count)), (row) => policy.worth(row))
    this.size = typeof maxBytes === "number" ? undefined : new AdaptiveSize(maxBytes, entries, worths, kept)
    this.#fixed = typeof maxBytes === "number" ? maxBytes : maxBytes.max
  }

  served(row: number, isCovered: boolean): void {
    this.size?.hit(this.#policy.worth(row))
    this.#policy.served(row, isCovered)
    if (this.size !== undefined) this.relieve()
  }

  /** Takes note of a look-up that found nothing to serve for the request of this key. */
  missed(key: string): void {
    this.size?.missed(key)
  }

  /** Bytes that the entries may take at this time. */
  get maxBytes(): number {
    return this.size?.maxBytes ?? this.#fixed
  }

  /** Whether so many bytes are more than one eviction makes room for: all others would give way to one entry. */
  isTooLarge(bytes: number): boolean {
    return bytes > (FULL - RELIEVED) * this.maxBytes
  }

  /** Takes note of a row that was written; settles when there is room for others. */
  async stored(row: number): Promise<void> {
    this.#policy.stored(row)
    this.relieve()
    // Not for all that is to give way: while others write there may be no end to it.
    if (this.#isBeyond(1)) await this.#inHaste(Promise.race([this.#running, this.#room.promise]))
  }

  /** Starts to evict where a bound asks for it. */
  relieve(): void {
    if (this.#isOver || this.#running !== undefined || !this.#isBeyond(FULL)) return
    this.#running = this.#evict().finally(() => {
      this.#running = undefined
    })
    // A write that waits for room is told; the next one tries again.
    this.#running.catch(() => undefined)
  }

  /** Evicts what is beyond the bounds now; settles when they are kept. */
  async relieved(): Promise<void> {
    this.relieve()
    await this.#inHaste(this.#running)
  }

  /** Stops, and settles when nothing is being evicted any more. */
  async close(): Promise<void> {
    this.#isOver = true
    this.#wake()
    await this.#running?.catch(() => undefined)
  }

  #isBeyond(share: number): boolean {
    return this.#entries.size > this.#maxEntries || this.#entries.bytes > share * this.maxBytes
  }

  async #evict(): Promise<void> {
    while (!this.#isOver && this.#isBeyond(RELIEVED)) {
      const leaving = this.#leaving()
      if (leaving.length === 0) {
        const row = await this.#next()
        if (row < 0) return
        if (!this.#entries.isThere(row)) continue
        leaving.push(this.#leave(row))
      }
      this.evicted += await this.#entries.removeTogether(leaving)
      if (!this.#isBeyond(1)) {
        this.#room.resolve()
        this.#room = Promise.withResolvers()
      }
      if (this.#waiting === 0) await this.#rest()
      await inNextTurn()
    }
  }

  #rest(): Promise<void> {
    return new Promise((go) => {
      const timer = setTimeout(go, REST_MS)
      this.#wake = () => {
        clearTimeout(timer)
        go()
      }
    })
  }

  /** Waits for something of this eviction, which has no rest meanwhile. */
  async #inHaste(work: Promise<void> | undefined): Promise<void> {
    this.#waiting++
    this.#wake()
    try {
      await work
    } finally {
      this.#waiting--
    }
  }

  /** The next to give way, as many as are deleted together; none where no sample meets one. */
  #leaving(): Array<Leaving> {
    const leaving: Array<Leaving> = []
    const began = performance.now()
    try {
      // However late it is, one is chosen: none would mean that no sample meets any.
      do {
        const row = this.#leastWorthy()
        if (row < 0) break
        leaving.push(this.#leave(row))
      } while (leaving.length < TOGETHER && this.#isBeyond(RELIEVED) && performance.now() - began < CHOOSING_MS)
    } catch (error) {
      // A policy of the caller's may throw: what was chosen before is nobody's to delete.
      for (const one of leaving) this.#entries.stay(one)
      throw error
    }
    return leaving
  }

  #leave(row: number): Leaving {
    this.size?.evicted(this.#entries.keyOf(row))
    return this.#entries.leave(row)
  }

  /** The next row that is there, where so few are left, or so many being written, that no sample meets one; -1 when none is. */
  async #next(): Promise<number> {
    for (let looked = 0; looked < this.#entries.rows; looked++) {
      this.#hand = (this.#hand + 1) % this.#entries.rows
      if (this.#entries.isThere(this.#hand)) return this.#hand
      if (looked % TRIES === 0 && leftInTurn() <= 0) await inNextTurn()
    }
    return -1
  }

  /** The least worthy of a random sample of rows, or of all where there are few, that are not being written; -1 for none. */
  #leastWorthy(): number {
    let least = -1
    let worth = Number.POSITIVE_INFINITY
    const met = this.#sample(SAMPLE)
    for (let i = 0; i < met; i++) {
      const row = this.#sampled[i]!
      const its = this.#entries.isOver(row) ? Number.NEGATIVE_INFINITY : this.#policy.worth(row)
      if (its >= worth || this.#entries.isBeingWritten(row)) continue
      worth = its
      least = row
    }
    return least
  }

  /** Puts rows of so many random entries into `sampled`, or of all where there are few; how many. */
  #sample(count: number): number {
    const { rows } = this.#entries
    const isSmall = rows <= SMALL
    const most = isSmall ? rows : count
    let met = 0
    for (let tries = 0; tries < (isSmall ? rows : TRIES) && met < most; tries++) {
      const row = isSmall ? tries : Math.floor(this.#random() * rows)
      if (this.#entries.isThere(row)) this.#sampled[met++] = row
    }
    return met
  }
}
