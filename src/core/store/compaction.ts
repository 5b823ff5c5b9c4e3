/**
 * Rows, records and lists of a store moved together, so that what is left over is free in one piece. Each call fills
 * the present turn of the event loop at most; nobody else writes meanwhile, and readers go on.
 */
import { setTimeout } from "node:timers/promises"
import { leftInTurn } from "../turn.ts"
import { notAfter } from "./directory.ts"
import { BLOCK, SLOTS } from "./layout.ts"
import type { ListWriter } from "./lists.ts"
import { isLive } from "./memory.ts"
import { addressOf } from "./rows.ts"
import type { Store } from "./store.ts"

/** Slots that are left free for those who write meanwhile, of the live rows: at first, and so many times more each time. */
const SPARE_SHARE = 1 / 64
const SPARE_GROWTH = 4
/** Rows looked at between two looks at the clock. */
const ROWS_A_LOOK = 16
/** Milliseconds between two looks at who is still reading. */
const LOOK_MS = 1

/**
 * Where the rows of a store could end, once that was tried `tries` times in vain; undefined where that is where they
 * end.
 */
export const boundOf = ({ directory }: Store, tries: number): number | undefined => {
  const { live, rows } = directory
  const bound = BLOCK * Math.ceil((live + Math.floor(live * SPARE_SHARE * SPARE_GROWTH ** tries)) / BLOCK)
  return bound < rows ? bound : undefined
}

interface RowsStep {
  /** Next row to look at. */
  readonly row: number
  readonly moved: number
  /** Whether there was no free slot to move the next row to. */
  readonly isStuck: boolean
}

/** Moves live rows between `bound` and `from` to free slots below, the highest first. */
export const moveRows = (store: Store, bound: number, from: number): RowsStep => {
  const { slots } = store
  let row = from
  let moved = 0
  let isStuck = false
  store.moving(() => {
    for (let looked = 1; row >= bound && slots.isBounded; row--, looked++) {
      if (isRowLive(store, row)) {
        isStuck = slots.free === 0
        if (isStuck) return
        moveRow(store, row)
        moved++
      }
      if (looked % ROWS_A_LOOK === 0 && leftInTurn() <= 0) {
        row--
        return
      }
    }
  })
  return { row, moved, isStuck }
}

const moveRow = (store: Store, row: number): void => {
  const to = store.slots.take()
  try {
    store.move(row, to)
  } catch (error) {
    // There is no room in a list: the row is where it was.
    store.slots.give(to)
    throw error
  }
}

interface RecordsStep {
  /** Next row to look at. */
  readonly row: number
  readonly moved: number
}

/** Moves the records of live rows from `from` on to `end` out of chunks that are written no more. */
export const moveRecords = (store: Store, from: number, end: number): RecordsStep => {
  let row = from
  let moved = 0
  for (let looked = 1; row < Math.min(end, store.directory.rows); looked++) {
    if (isRowLive(store, row)) {
      const copy = store.records.moveOut(addressOf(store, row))
      if (copy >= 0) {
        store.replaceRecord(row, copy)
        moved++
      }
    }
    row++
    if (looked % ROWS_A_LOOK === 0 && leftInTurn() <= 0) return { row, moved }
  }
  return { row: end, moved }
}

interface ListsStep {
  /** Next list to look at. */
  readonly list: number
  readonly rewritten: number
}

/** Writes lists from `from` on anew that take more blocks than they need, or blocks beyond those that all need. */
export const rewriteLists = (lists: ListWriter, from: number): ListsStep => {
  let list = from
  const bound = lists.needed
  let low = lists.sortedFree().filter((block) => block < bound).length
  let rewritten = 0
  // There may be fewer lists by now.
  while (list < lists.count) {
    const chain = lists.chain(list)
    const needed = Math.ceil(lists.sizeOf(list) / BLOCK)
    const isHigh = needed <= low && chain.some((block) => block >= bound)
    if (chain.length > needed || isHigh) {
      lists.rewrite(list)
      low -= needed
      rewritten++
    }
    list++
    if (leftInTurn() <= 0) break
  }
  return { list, rewritten }
}

/** Settles once every read that had begun has ended, and what waited for it can be used again. */
export const readersGone = async (store: Store, signal: AbortSignal): Promise<void> => {
  const { epoch } = store.directory
  while (!notAfter(epoch, store.slots.reclaim())) await setTimeout(LOOK_MS, undefined, { signal })
}

const isRowLive = (store: Store, row: number): boolean => isLive(store.segments[Math.floor(row / SLOTS)]!, row % SLOTS)
