/**
 * Which rows a compaction moved where, in memory that every thread reads: whoever goes through a store row by row
 * follows an entry that went to a slot behind it.
 *
 * The last moves are kept in a ring of pairs; the directory counts them. Both are changed while its word of moves is odd.
 */

/** Moves that are kept. */
const MOVES_KEPT = 1 << 20

export const newMoveLog = (): Uint32Array => new Uint32Array(new SharedArrayBuffer(8 * MOVES_KEPT))

/** Writes move number `count`. */
export const logMove = (log: Uint32Array, count: number, from: number, to: number): void => {
  const at = 2 * (count % MOVES_KEPT)
  log[at] = from
  log[at + 1] = to
}

/** Calls `visit` with each of the moves `[first, end)` that is kept; false when some are not. */
export const forEachMove = (
  log: Uint32Array | undefined,
  first: number,
  end: number,
  visit: (from: number, to: number) => void
): boolean => {
  const count = (end - first) >>> 0
  if (log === undefined || count > MOVES_KEPT) return count === 0
  for (let i = 0; i < count; i++) {
    const at = 2 * (((first + i) >>> 0) % MOVES_KEPT)
    visit(log[at]!, log[at + 1]!)
  }
  return true
}
