/**
 * A budget of bytes that follows from reuse, within the bounds of the operator: less where what is worth least is not asked
 * for anyway, more where what gave way is asked for again.
 *
 * What a smaller cache would lose are the hits on the least worthy entries, which are counted as they happen; what a larger
 * one would gain are the misses of requests whose entries were evicted of late, of which only the keys are kept (the
 * ghosts of ARC: Megiddo and Modha, FAST 2003). The budget climbs in steps by these two, and waits longer after each step
 * down that had to be taken back (as Caffeine's hill climber decays its steps), so that it comes to rest.
 */
import { isRecord } from "../checked.ts"

export interface SizeBounds {
  /** Least bytes that the budget falls to, 65,536 or more. */
  readonly min: number
  /** Most bytes, `min` or more: the budget begins here. */
  readonly max: number
}

/** By how much of it the budget changes at once. */
const STEP = 1 / 16
/** Look-ups between two steps, and as many as there are entries: reuse takes longer where there is more to reuse. */
const LEAST_PERIOD = 1024
/** Shares of the look-ups: what a step down may lose, and what makes for a step up. */
const MOST_LOST = 0.001
const LEAST_GAINED = 0.005
/** Periods without a step down after one up, at first and at most. */
const WAIT = 4
const LONGEST_WAIT = 64
/** Ghosts at most, and for each entry. */
const MOST_GHOSTS = 65_536
const GHOSTS_AN_ENTRY = 1 / 4
/** Share of the budget that eviction leaves. */
const USED = 0.8
/** Hits between two looks at what is worth least, and rows of a look. */
const HITS_A_LOOK = 64
const SAMPLE = 64

/** What was learned, as plain JSON. */
interface SizeState {
  readonly maxBytes: number
  /** The bound that it was learned within. */
  readonly max: number
  /** Periods without a step down after the next one up, and those that are left of the last. */
  readonly wait: number
  readonly waiting: number
}

/** The cache, as its budget sees it. */
interface Sized {
  /** Entries. */
  readonly size: number
  readonly bytes: number
}

export class AdaptiveSize {
  readonly #bounds: SizeBounds
  readonly #cache: Sized
  readonly #worths: (count: number) => ReadonlyArray<number>
  #maxBytes: number
  readonly #ghosts = new Set<string>()
  #lookUps = 0
  #hits = 0
  /** Hits that a step down would have lost, misses that a step up might have served. */
  #lost = 0
  #gained = 0
  /** Entries worth no more than this would give way by a step down. */
  #least = Number.NEGATIVE_INFINITY
  #wait = WAIT
  #waiting = 0
  #wasShrunk = false

  /**
   * `worths` tells what random entries are worth, so many at most. `kept` is what `toJSON` said when the cache was closed, by
   * which it goes on within the bounds of today; anything else counts for nothing.
   */
  constructor(bounds: SizeBounds, cache: Sized, worths: (count: number) => ReadonlyArray<number>, kept?: unknown) {
    this.#bounds = bounds
    this.#cache = cache
    this.#worths = worths
    this.#maxBytes = bounds.max
    if (!isState(kept)) return
    // A budget that stood at its bound was held back by nothing else.
    if (kept.maxBytes < kept.max) this.#maxBytes = Math.max(bounds.min, Math.min(bounds.max, kept.maxBytes))
    this.#wait = kept.wait
    this.#waiting = kept.waiting
  }

  /** What was learned; the keys of what gave way are not of it. */
  toJSON(): SizeState {
    return { maxBytes: this.#maxBytes, max: this.#bounds.max, wait: this.#wait, waiting: this.#waiting }
  }

  get maxBytes(): number {
    return this.#maxBytes
  }

  /** Takes note of an entry that gives way. */
  evicted(key: string): void {
    this.#ghosts.add(key)
    const most = Math.min(MOST_GHOSTS, Math.max(1, GHOSTS_AN_ENTRY * this.#cache.size))
    for (const oldest of this.#ghosts) {
      if (this.#ghosts.size <= most) return
      this.#ghosts.delete(oldest)
    }
  }

  /** Takes note of a look-up that found an entry, which was worth so much before it. */
  hit(worth: number): void {
    if (this.#hits++ % HITS_A_LOOK === 0) this.#look()
    if (worth <= this.#least) this.#lost++
    this.#lookedUp()
  }

  /** Takes note of a look-up that found nothing to serve for the request of a key. */
  missed(key: string): void {
    if (this.#ghosts.delete(key)) this.#gained++
    this.#lookedUp()
  }

  #look(): void {
    const worths = Array.from(this.#worths(SAMPLE)).sort((a, b) => a - b)
    this.#least = worths[Math.floor(STEP * worths.length)] ?? Number.NEGATIVE_INFINITY
  }

  #lookedUp(): void {
    if (++this.#lookUps < Math.max(LEAST_PERIOD, this.#cache.size)) return
    const gained = this.#gained / this.#lookUps
    const lost = this.#lost / this.#lookUps
    this.#lookUps = 0
    this.#gained = 0
    this.#lost = 0
    if (gained >= LEAST_GAINED) this.#grow()
    else if (this.#waiting > 0) this.#waiting--
    else if (lost <= MOST_LOST) this.#shrink()
  }

  #grow(): void {
    this.#wait = this.#wasShrunk ? Math.min(LONGEST_WAIT, 2 * this.#wait) : this.#wait
    this.#waiting = this.#wait
    this.#wasShrunk = false
    this.#maxBytes = Math.min(this.#bounds.max, Math.ceil(this.#maxBytes * (1 + STEP)))
  }

  /** A budget that is not used up is not shrunk: that would give back nothing. */
  #shrink(): void {
    const smaller = Math.max(this.#bounds.min, Math.floor(this.#maxBytes * (1 - STEP)))
    if (this.#cache.bytes < USED * smaller) return
    this.#wasShrunk = true
    this.#maxBytes = smaller
  }
}

const isState = (kept: unknown): kept is SizeState => {
  if (!isRecord(kept)) return false
  const { maxBytes, max, wait, waiting } = kept
  return (
    isWhole(maxBytes, 1, Number.MAX_SAFE_INTEGER) &&
    isWhole(max, maxBytes, Number.MAX_SAFE_INTEGER) &&
    isWhole(wait, WAIT, LONGEST_WAIT) &&
    isWhole(waiting, 0, wait)
  )
}

const isWhole = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && Number(value) >= least && Number(value) <= most
