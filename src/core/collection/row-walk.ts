/**
 * A way through the rows of a store, in order, on any thread and at any pace. An entry that a compaction moves from
 * ahead of the walk to behind it is met at the end, so that each is met once.
 */
import { forEachMove } from "../store/move-log.ts"
import { type Searchable, underClaim } from "../store/searchable.ts"

export class RowWalk {
  readonly #memory: Searchable
  /** Next row in order. */
  #row = 0
  /** Moves that were followed. */
  #moved: number
  /** Rows before the next one whose entries were moved there and have not been met. */
  readonly #behind = new Set<number>()

  constructor(memory: Searchable) {
    this.#memory = memory
    this.#moved = memory.directory.moved
  }

  /** Reads the next row under a claim, while nothing is moved; undefined after the last. */
  next<A>(read: (row: number) => A): { readonly value: A } | undefined {
    const { directory } = this.#memory
    for (;;) {
      this.#memory.sync()
      const { moves } = directory
      if ((moves & 1) === 1) continue
      if (directory.moved !== this.#moved) this.#follow()
      const isBehind = this.#row >= directory.rows
      const row = isBehind ? this.#behind.values().next().value : this.#row
      if (row === undefined) return undefined
      const value = underClaim(this.#memory, () => read(row))
      // What was read may have been on its way.
      if (directory.moves !== moves) continue
      if (isBehind) this.#behind.delete(row)
      else this.#row++
      return { value }
    }
  }

  #follow(): void {
    const { moved } = this.#memory.directory
    const isKnown = forEachMove(this.#memory.moveLog, this.#moved, moved, (from, to) => {
      const isUnmet = this.#behind.delete(from) || from >= this.#row
      if (isUnmet && to < this.#row) this.#behind.add(to)
      else this.#behind.delete(to)
    })
    this.#moved = moved
    if (isKnown) return
    // The walk slept through more moves than are kept: it meets entries again rather than none.
    this.#row = 0
    this.#behind.clear()
  }
}
