/** Walks over the rows of a pool that leave the event loop to others about every millisecond. */
import { lowestBit } from "../kernels/bits.ts"
import { SLOTS } from "../store/layout.ts"
import type { Store } from "../store/store.ts"
import { inNextTurn, leftInTurn } from "../turn.ts"

const WORD = 32
/** Words of live bits between two looks at the clock: a policy may take microseconds to rank a row. */
const WORDS_A_LOOK = 2

interface SweepOptions {
  /** Bits of rows: those whose bit is not set are left out. */
  readonly only?: Uint32Array | undefined
  /** Told the row up to which all that were there have been visited; of infinity at the end. */
  readonly passed?: ((bound: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** Calls `visit` with each live row, lowest first. Rows that others write or move meanwhile may be met or missed. */
export const sweep = async (
  store: Store,
  visit: (row: number) => void,
  { only, passed, signal }: SweepOptions = {}
): Promise<void> => {
  for (let at = 0; at * WORD < store.directory.rows; at++) {
    if (at % WORDS_A_LOOK === 0 && leftInTurn() <= 0) {
      await inNextTurn()
      signal?.throwIfAborted()
    }
    let left = liveWord(store, at)
    if (only !== undefined) left &= only[at] ?? 0
    for (; left !== 0; left &= left - 1) visit(at * WORD + lowestBit(left))
    passed?.((at + 1) * WORD)
  }
  passed?.(Number.POSITIVE_INFINITY)
}

/** Live bits of 32 rows; none where there are no rows. */
const liveWord = ({ segments }: Store, at: number): number => {
  const segment = segments[Math.floor((at * WORD) / SLOTS)]
  return segment === undefined ? 0 : Atomics.load(segment.live, at % (SLOTS / WORD))
}

/** At most `count` live rows spread over all. */
export const spread = (store: Store, count: number, from = 0): ReadonlyArray<number> => {
  const { rows, live } = store.directory
  if (live <= count) return [...liveRows(store)]
  const found = new Set<number>()
  // From each of these on the next live row is the last one: where most rows are none, no gap is walked through twice.
  let [since, until] = [0, -1]
  for (let i = 0; i < count; i++) {
    const start = Math.floor(((i + from) * rows) / count) % rows
    if (start >= since && start <= until) continue
    const row = nextLive(store, start, rows)
    if (row === undefined) break
    found.add(row)
    since = start
    until = row < start ? rows : row
  }
  return [...found]
}

/** The first live row from `start` on, round the end. */
const nextLive = (store: Store, start: number, rows: number): number | undefined => {
  const words = Math.ceil(rows / WORD)
  for (let step = 0; step <= words; step++) {
    const at = (Math.floor(start / WORD) + step) % words
    const word = liveWord(store, at)
    const left = step === 0 ? word & (-1 << (start % WORD)) : word
    if (left !== 0) return at * WORD + lowestBit(left)
  }
  return undefined
}

/** Every live row at once, lowest first: for pools that are small, and for policies that want them all. */
export function* liveRows(store: Store): Generator<number> {
  const words = Math.ceil(store.directory.rows / WORD)
  for (let at = 0; at < words; at++) {
    for (let left = liveWord(store, at); left !== 0; left &= left - 1) {
      yield at * WORD + lowestBit(left)
    }
  }
}
