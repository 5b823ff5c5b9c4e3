/**
 * Which rows entries went from and to, by a compaction or by an update, in memory that every thread reads. Whoever goes
 * through a store row by row follows an entry that went to a row behind it, and a search looks at rows that it may have
 * passed before they were written.
 *
 * The last moves are kept in a ring of pairs; the directory counts them. One is written after the new row can be found
 * and before the old one no longer can.
 */

/** Moves that are kept. */
export const MOVES_KEPT = 1 << 18

export const newMoveLog = (): Uint32Array => new Uint32Array(new SharedArrayBuffer(8 * MOVES_KEPT))

/** Writes move number `count`. */
export const logMove = (log: Uint32Array, count: number, from: number, to: number): void => {
  const at = 2 * (count % MOVES_KEPT)
  log[at] = from
  log[at + 1] = to
}

/** Calls `visit` with each of the moves `[first, end)` that is kept; false when some are not. */
export const forEachMove = (
  log: Uint32Array,
  first: number,
  end: number,
  visit: (from: number, to: number) => void
): boolean => {
  const count = (end - first) >>> 0
  if (count > MOVES_KEPT) return false
  for (let i = 0; i < count; i++) {
    const at = 2 * (((first + i) >>> 0) % MOVES_KEPT)
    visit(log[at]!, log[at + 1]!)
  }
  return true
}
