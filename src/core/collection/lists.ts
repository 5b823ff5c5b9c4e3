/** Inverted lists of a collection: trained on its codes, then filled with every live row while nobody writes. */
import { orCancelled } from "../abort.ts"
import type { Builder } from "../builder.ts"
import { listsFor, SAMPLE_PER_LIST } from "../index/ivf.ts"
import { type Pool, runOnMemory } from "../pool.ts"
import { allSettled } from "../settled.ts"
import { forEachSliced } from "../slice.ts"
import type { Store } from "../store/store.ts"
import { liveRows, spread } from "./samples.ts"

/** Rows that one task puts into lists. */
const TASK_ROWS = 4096

/** The list of each of `rows`, found in the pool. */
export const assignAll = async (
  store: Store,
  pool: Pool["Service"],
  centroids: SharedArrayBuffer,
  rows: Uint32Array,
  signal: AbortSignal | undefined
): Promise<Uint32Array> => {
  const handle = store.handle()
  const lists = new Uint32Array(rows.length)
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < rows.length) {
      signal?.throwIfAborted()
      const from = next
      next += TASK_ROWS
      const part = rows.slice(from, from + TASK_ROWS)
      lists.set(await runOnMemory<Uint32Array>(pool, "assign", { rows: part, centroids }, handle), from)
    }
  }
  // Two a worker: none waits for the next to be sent.
  await allSettled(Array.from({ length: 2 * pool.threads }, lane))
  return lists
}

/** Positions of `lists` in order of list, so that the blocks of a list lie side by side. */
export const byList = async (
  lists: Uint32Array,
  count: number,
  signal: AbortSignal | undefined
): Promise<Uint32Array> => {
  const ends = new Uint32Array(count + 1)
  await forEachSliced(lists.length, signal, (i) => {
    ends[lists[i]! + 1]!++
  })
  for (let list = 0; list < count; list++) ends[list + 1] = ends[list + 1]! + ends[list]!
  const order = new Uint32Array(lists.length)
  await forEachSliced(lists.length, signal, (i) => {
    order[ends[lists[i]!]!++] = i
  })
  return order
}

/**
 * Centroids for the rows and codes of this moment, trained in the builder, which is left alone with them when the signal
 * fires. Rows may be written meanwhile.
 */
export const trainLists = async (
  store: Store,
  builder: Builder["Service"],
  wanted: number | undefined,
  signal: AbortSignal
): Promise<SharedArrayBuffer> => {
  const rows = await liveRows(store)
  const lists = Math.min(wanted ?? listsFor(rows.length), rows.length)
  const { encoder, columns } = store.codes
  const task = {
    layout: store.columns.layout,
    encoder: encoder.parameters,
    columns,
    rows: spread(rows, lists * SAMPLE_PER_LIST),
    lists,
    seed: encoder.seed
  }
  return orCancelled(
    builder.call((build) => build.centroids(task)),
    signal
  )
}

/**
 * Puts every live row into lists around the centroids, and those in force; nothing is when the signal fires before that.
 * No row may be written; searches go on.
 */
export const fillLists = async (
  store: Store,
  pool: Pool["Service"],
  centroids: SharedArrayBuffer,
  signal?: AbortSignal
): Promise<void> => {
  const rows = await liveRows(store)
  const assigned = await assignAll(store, pool, centroids, rows, signal)
  const made = store.newLists(centroids)
  await made.shorten()
  const order = await byList(assigned, made.count, signal)
  await forEachSliced(rows.length, signal, (i) => {
    const at = order[i]!
    made.append(rows[at]!, assigned[at]!)
  })
  store.useLists(made)
}
