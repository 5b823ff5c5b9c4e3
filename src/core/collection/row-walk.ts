/**
 * A way through the rows of a store, in order, on any thread and at any pace. An entry that a compaction or an update
 * takes from ahead of the walk to behind it is met at the end, and one that goes from behind it to ahead is passed by,
 * so that each is met once.
 */
import { forEachMove, MOVES_KEPT } from "../store/move-log.ts"
import { type Searchable, underClaim } from "../store/searchable.ts"

export class RowWalk {
  readonly #memory: Searchable
  /** Next row in order. */
  #row = 0
  /** Moves that were followed. */
  #moved: number
  /** Rows before the next one whose entries went there and have not been met. */
  readonly #behind = new Set<number>()
  /** Rows from the next one on whose entries went there and have been met. */
  readonly #met = new Set<number>()

  constructor(memory: Searchable) {
    this.#memory = memory
    this.#moved = memory.directory.moved
  }

  /** Reads the next row under a claim, while nothing is moved; undefined after the last. */
  next<A>(read: (row: number) => A): { readonly value: A } | undefined {
    const { directory } = this.#memory
    for (;;) {
      this.#memory.sync()
      const { moves, keySequence } = directory
      if (((moves | keySequence) & 1) === 1) continue
      this.#follow()
      const isBehind = this.#row >= directory.rows
      const row = isBehind ? this.#behind.values().next().value : this.#row
      if (row === undefined) return undefined
      if (this.#met.delete(row)) {
        this.#row++
        continue
      }
      const value = underClaim(this.#memory, () => read(row))
      // What was read may have been on its way.
      if (directory.moves !== moves || directory.keySequence !== keySequence) continue
      if (isBehind) this.#behind.delete(row)
      else this.#row++
      return { value }
    }
  }

  #follow(): void {
    const { directory } = this.#memory
    const { moved } = directory
    const isRead = forEachMove(this.#memory.moveLog, this.#moved, moved, (from, to) => {
      const isMet = this.#met.delete(from) || (from < this.#row && !this.#behind.delete(from))
      this.#behind.delete(to)
      this.#met.delete(to)
      if (isMet && to >= this.#row) this.#met.add(to)
      if (!isMet && to < this.#row) this.#behind.add(to)
    })
    // Another thread may have written over what was being read.
    const isKnown = isRead && (directory.moved - this.#moved) >>> 0 <= MOVES_KEPT
    this.#moved = moved
    if (isKnown) return
    // The walk slept through more moves than are kept: it meets entries again rather than none.
    this.#row = 0
    this.#behind.clear()
    this.#met.clear()
  }
}
