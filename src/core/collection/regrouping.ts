/**
 * Inverted lists that follow data which drifts: lists that became far too long are split, and those that became nearly
 * empty are merged into their neighbours, a few at a time, while searches go on.
 */
import { orCancelled } from "../abort.ts"
import type { Builder } from "../builder.ts"
import { listsFor, SAMPLE_PER_LIST } from "../index/ivf.ts"
import { NEIGHBOURS, type Regrouped } from "../index/regroup.ts"
import { TopRows } from "../kernels/select.ts"
import { forEachSliced } from "../slice.ts"
import { BLOCK } from "../store/layout.ts"
import { MAX_LISTS } from "../store/list-columns.ts"
import type { ListWriter } from "../store/lists.ts"
import type { Store } from "../store/store.ts"
import { byList } from "./lists.ts"
import { spread } from "./samples.ts"

/** A list is split when it has so many times the rows that it should have, and more than a few blocks. */
const LONG = 4
/** A list is merged when it has less than such a part of the rows that it should have. */
const SHORT = 8
/** A list that a split could not part is split again when it has so many times the rows. */
const RETRY_GROWTH = 2
/** Part of the rows of a list that one other takes where a split could not part them. */
const UNPARTED_SHARE = 7 / 8
/** Lists of one round: those that write wait for it. */
const MAX_SPLITS = 16
const MAX_MERGES = 64
/**
 * Rows that are read for one round, by what lists hold on average, unless those around a single list are more. Lists
 * that are split in one round take rows from one another: by half of this a third more rows ended in lists that are not
 * the nearest.
 */
const ROUND_ROWS = 131_072
/** Most lists that one is split into. */
const MAX_PARTS = 64

/** Lists to be split, and into how many, and lists to be merged into others. */
interface Drift {
  readonly splits: ReadonlyArray<{ readonly list: number; readonly parts: number }>
  readonly merges: ReadonlyArray<number>
}

/**
 * What a round of regrouping is to change of lists that hold `live` rows; undefined where all have about what they
 * should. `wanted` lists were asked for. Rows may be written meanwhile.
 */
export const driftOf = async (
  lists: Pick<ListWriter, "count" | "sizeOf" | "triedAt">,
  live: number,
  wanted: number | undefined,
  signal?: AbortSignal
): Promise<Drift | undefined> => {
  const usual = live / (wanted ?? listsFor(live))
  const longest = LONG * Math.max(BLOCK, usual)
  const long = new TopRows(MAX_SPLITS)
  const short = new TopRows(MAX_MERGES)
  await forEachSliced(lists.count, signal, (list) => {
    const size = lists.sizeOf(list)
    if (size > longest && size > RETRY_GROWTH * lists.triedAt(list)) {
      long.offer(size, list)
    } else if (size * SHORT < usual) short.offer(-size, list)
  })
  let rows = 0
  /** Whether the rows of a list and of `near` lists around it still go into the round, which they are of then. */
  const fits = (size: number, near: number): boolean => {
    const more = rows + size + (near * live) / lists.count
    if (rows > 0 && Math.min(more, live) > ROUND_ROWS) return false
    rows = more
    return true
  }
  let room = MAX_LISTS - lists.count
  const splits = Array.from(long.take().rows).flatMap((list) => {
    const size = lists.sizeOf(list)
    const parts = Math.min(MAX_PARTS, room + 1, Math.round(size / Math.max(BLOCK, usual)))
    if (parts < 2 || !fits(size, NEIGHBOURS)) return []
    room -= parts - 1
    return [{ list, parts }]
  })
  // Each row may go to a list of its own, which is written anew. One list is left at least.
  const merges = Array.from(short.take().rows)
    .slice(0, Math.max(0, lists.count - splits.length - 1))
    .filter((list) => fits(lists.sizeOf(list), Math.min(NEIGHBOURS, lists.sizeOf(list))))
  return splits.length + merges.length > 0 ? { splits, merges } : undefined
}

/** What the builder makes of a drift. */
interface RegroupPlan extends Omit<Regrouped, "centroids" | "local"> {
  readonly centroids: SharedArrayBuffer
  readonly local: SharedArrayBuffer
}

/** Finds the list of each of `rows`, whose centroids `centroids` are. */
type Assign = (rows: Uint32Array, centroids: SharedArrayBuffer) => Promise<Uint32Array>

/**
 * Makes the centroids after a round in the builder, which is left alone when the signal fires. Rows may be written
 * meanwhile; where a compaction moved some, the codes that were read may be none any more, and there is no plan.
 */
export const planRegrouping = async (
  store: Store,
  lists: ListWriter,
  builder: Builder["Service"],
  { splits, merges }: Drift,
  signal: AbortSignal
): Promise<RegroupPlan | undefined> => {
  const { moves } = store.directory
  const sampled = []
  for (const { list, parts } of splits) {
    // Some may be of other lists by the time they are read: it is a sample.
    const rows = await rowsOf(lists, [list], signal)
    // A list that has lost all its rows meanwhile has none to part.
    if (rows.length > 0) sampled.push({ list, parts, rows: spread(rows, parts * SAMPLE_PER_LIST) })
  }
  // Training replaces the codes, and the lists with them.
  if (store.lists !== lists) return undefined
  const { codes, columns } = store
  const task = {
    layout: columns.layout,
    encoder: codes.encoder.parameters,
    columns: codes.columns,
    centroids: lists.buffers.centroids,
    splits: sampled,
    merges,
    seed: codes.encoder.seed
  }
  const plan = await orCancelled(
    builder.call((build) => build.regroup(task)),
    signal
  )
  return store.directory.moves === moves ? plan : undefined
}

/** The number of a list that goes. */
const GONE = 2 ** 32 - 1

/**
 * Puts a plan in force: rows of lists that go, and of those around splits that are nearer to a new list than to their
 * own, go to the list that is nearest. No row may be written meanwhile; searches go on. How many rows went to another
 * list; when the signal fires before that, all stay where they are.
 */
export const regroup = async (
  lists: ListWriter,
  assign: Assign,
  plan: RegroupPlan,
  signal?: AbortSignal
): Promise<number> => {
  const { centroids, kept, split, dropped, near, local, checked } = plan
  const numbers = new Uint32Array(lists.count).fill(GONE)
  await forEachSliced(kept.length, signal, (list) => {
    numbers[kept[list]!] = list
  })
  const met = await rowsOf(lists, [...split, ...dropped, ...Array.from(checked, (list) => kept[list]!)], signal)
  const assigned = await assign(met, local)
  const isChanged = new Uint8Array(plan.count).fill(1, kept.length)
  let moved = 0
  await forEachSliced(met.length, signal, (i) => {
    const to = near[assigned[i]!]!
    const from = numbers[lists.listOf(met[i]!)!]!
    if (from === to) return
    moved++
    isChanged[to] = 1
    if (from !== GONE) isChanged[from] = 1
  })
  // Lists that only take rows in are written anew too.
  const isChecked = new Set(checked)
  const taking = Array.from(near).filter((list) => list < kept.length && isChanged[list] === 1 && !isChecked.has(list))
  const there = await rowsOf(
    lists,
    taking.map((list) => kept[list]!),
    signal
  )
  const rows = new Uint32Array(met.length + there.length)
  const targets = new Uint32Array(rows.length)
  let count = 0
  const put = (row: number, list: number) => {
    if (isChanged[list] === 0) return
    rows[count] = row
    targets[count++] = list
  }
  await forEachSliced(met.length, signal, (i) => put(met[i]!, near[assigned[i]!]!))
  await forEachSliced(there.length, signal, (i) => put(there[i]!, numbers[lists.listOf(there[i]!)!]!))
  const order = await byList(targets.subarray(0, count), isChanged.length, signal)
  const inOrder = { rows: new Uint32Array(count), targets: new Uint32Array(count) }
  await forEachSliced(count, signal, (i) => {
    inOrder.rows[i] = rows[order[i]!]!
    inOrder.targets[i] = targets[order[i]!]!
  })
  const unparted = await unpartedOf(lists, split, (i) => near[assigned[i]!]!, isChanged.length, signal)
  await lists.regroup({ centroids, kept, isChanged, unparted, ...inOrder }, signal)
  return moved
}

/** Lists that take nearly all rows of one that is split; row `i` of these, in order, goes to `targetOf(i)`. */
const unpartedOf = async (
  lists: ListWriter,
  split: ReadonlyArray<number>,
  targetOf: (i: number) => number,
  count: number,
  signal: AbortSignal | undefined
): Promise<ReadonlySet<number>> => {
  const unparted = new Set<number>()
  let from = 0
  for (const list of split) {
    const size = lists.sizeOf(list)
    const taken = new Uint32Array(count)
    await forEachSliced(size, signal, (i) => {
      const to = targetOf(from + i)
      taken[to]!++
      if (taken[to]! > UNPARTED_SHARE * size) unparted.add(to)
    })
    from += size
  }
  return unparted
}

/** The rows of some lists. */
const rowsOf = async (
  lists: ListWriter,
  wanted: ReadonlyArray<number>,
  signal: AbortSignal | undefined
): Promise<Uint32Array> => {
  const blocks: Array<number> = []
  await forEachSliced(wanted.length, signal, (i) => {
    for (const block of lists.chain(wanted[i]!)) blocks.push(block)
  })
  const rows = new Uint32Array(blocks.length * BLOCK)
  let count = 0
  await forEachSliced(blocks.length, signal, (i) =>
    lists.forEachRow(blocks[i]!, (row) => {
      rows[count++] = row
    })
  )
  return rows.subarray(0, count)
}
