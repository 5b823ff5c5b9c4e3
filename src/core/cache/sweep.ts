/**
 * Deletes what is expired while nobody asks for it. A tick looks at rows for half a millisecond and goes on where it ended
 * with the next one, sooner where much of what it met was expired; while nothing can be expired it looks at nothing.
 */
import { inNextTurn, leftInTurn } from "../turn.ts"
import type { CacheEntries, Leaving } from "./entries.ts"

/** What a turn is left at least, in milliseconds. */
const LEFT_MS = 0.5
/** Rows between two looks at the clock. */
const ROWS_A_LOOK = 8
/** A tick is followed by another in the next turn where at least one of so many that it met was expired. */
const MANY = 4
/** All rows are looked at after so long at the latest: others may write into the collection as well. */
const LONGEST_MS = 3_600_000

export class Sweep {
  readonly #entries: CacheEntries
  readonly #clock: () => number
  readonly #timer: NodeJS.Timeout
  /** The round under way. */
  #next: (() => number | undefined) | undefined
  /** When the first of those is expired that the round met and left, or that were stored since it began. */
  #soonest = Number.POSITIVE_INFINITY
  /** When another round begins. */
  #due = 0
  #running: Promise<void> | undefined
  #isOver = false
  /** Entries that were deleted. */
  swept = 0

  constructor(entries: CacheEntries, clock: () => number, ms: number) {
    this.#entries = entries
    this.#clock = clock
    this.#timer = setInterval(() => this.#tick(), ms)
    // It keeps no process alive.
    this.#timer.unref()
  }

  /** Takes note of the row of an entry that was written. */
  stored(row: number): void {
    const over = this.#entries.overAt(row)
    this.#soonest = Math.min(this.#soonest, over)
    this.#due = Math.min(this.#due, over)
  }

  /** Stops, and settles when nothing is being deleted any more. */
  async close(): Promise<void> {
    this.#isOver = true
    clearInterval(this.#timer)
    await this.#running
  }

  #tick(): void {
    if (this.#running !== undefined || this.#isOver) return
    if (this.#next === undefined && this.#clock() < this.#due) return
    this.#running = this.#sweep().finally(() => {
      this.#running = undefined
    })
  }

  async #sweep(): Promise<void> {
    for (;;) {
      const leaving: Array<Leaving> = []
      const met = this.#look(leaving)
      const isOver = (row: number) => this.#entries.isOver(row)
      this.swept += await this.#entries.removeTogether(leaving, isOver).catch(() => {
        // They are there again, and expired.
        this.#soonest = 0
        this.#due = 0
        return 0
      })
      const isMuch = leaving.length * MANY >= Math.max(1, met)
      if (this.#isOver || this.#next === undefined || !isMuch) return
      await inNextTurn()
    }
  }

  /** Looks at rows as long as there is room in the turn; how many entries there were. */
  #look(leaving: Array<Leaving>): number {
    const entries = this.#entries
    const now = this.#clock()
    if (this.#next === undefined) {
      this.#next = entries.walk()
      this.#soonest = Number.POSITIVE_INFINITY
    }
    let met = 0
    for (let looked = 1; ; looked++) {
      const row = this.#next()
      if (row === undefined) break
      if (entries.isThere(row)) {
        met++
        const over = entries.overAt(row)
        if (now >= over) leaving.push(entries.leave(row))
        else this.#soonest = Math.min(this.#soonest, over)
      }
      if (looked % ROWS_A_LOOK === 0 && leftInTurn() < LEFT_MS) return met
    }
    this.#next = undefined
    this.#due = Math.min(this.#soonest, now + LONGEST_MS)
    return met
  }
}
