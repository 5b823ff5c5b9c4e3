/**
 * The graph of a collection over its life: made when there are enough rows, then kept up with them.
 *
 * Pool workers link rows in small tasks, each under a claim, while the owner writes on and searches
 * scan what is not linked yet. Links to deleted rows are replaced when many rows have died.
 */

import { type Pool, runOnMemory } from "../pool.ts"
import { allSettled } from "../settled.ts"
import { forEachSliced } from "../slice.ts"
import { Graph } from "../store/graph.ts"
import type { GraphOptions } from "../store/graph-columns.ts"
import { whileClaimed } from "../store/searchable.ts"
import type { Store } from "../store/store.ts"
import { storedSample } from "./samples.ts"

/** Rows that one task links: some ten milliseconds, so that searches in the pool do not wait for long. */
const TASK_ROWS = 64
/** Rows that are linked before an image, or a call for the whole index, gets its turn: a second at most. */
const ROUND_ROWS = 4096
/** Rows whose links are repaired before that. */
const REPAIR_ROUND_ROWS = 16_384
/** Rows that one task looks through for links to the dead. */
const REPAIR_ROWS = 512
/** Share of linked rows that die before links are repaired. */
const REPAIR_SHARE = 0.2

/** Called with the entries that are in the index, and all there are. */
export type OnIndexProgress = (linked: number, rows: number) => void

/** A graph for the rows of a store, with none of them linked. */
export const newGraph = async (store: Store, options: GraphOptions): Promise<Graph> => {
  const { dimensions, precision } = store.shape
  const mean = new Float32Array(new SharedArrayBuffer(4 * dimensions))
  if (precision !== "int8") {
    const sample = await storedSample(store)
    const count = sample.length / dimensions
    await forEachSliced(count, undefined, (row) => {
      for (let i = 0; i < dimensions; i++) mean[i]! += sample[row * dimensions + i]! / count
    })
  }
  const graph = new Graph(store.kernels, store.shape, options, mean)
  await forEachSliced(store.segments.length, undefined, (segment) => graph.extend(segment + 1))
  return graph
}

/**
 * Links the next rows of a store that has a graph, or repairs the next links when none is left and many rows have
 * died. Whether there is more to do. Rejects when aborted.
 */
export const advance = async (
  store: Store,
  graph: Graph,
  pool: Pool["Service"],
  signal: AbortSignal,
  onProgress: OnIndexProgress
): Promise<boolean> => {
  const { efConstruction } = graph.options
  const pending = graph.pendingRows(store.segments, ROUND_ROWS)
  if (pending.length > 0) {
    await forEachTask(store, pool, signal, [0, pending.length], TASK_ROWS, async (from, to, cancel) => {
      const task = { rows: pending.slice(from, to), efConstruction, cancel }
      await runOnMemory<void>(pool, "link", task, store.handle())
      const { live } = store.directory
      onProgress(live - graph.pending(live), live)
    })
    return true
  }
  graph.settle(store.directory.live)
  if (graph.repaired === undefined) {
    if (graph.died <= REPAIR_SHARE * graph.linked) return false
    graph.died = 0
    graph.repaired = 0
  }
  const first = graph.repaired
  const end = Math.min(store.directory.rows, first + REPAIR_ROUND_ROWS)
  await forEachTask(store, pool, signal, [first, end], REPAIR_ROWS, (from, to, cancel) =>
    runOnMemory<void>(pool, "repair", { from, to, efConstruction, cancel }, store.handle())
  )
  graph.repaired = end < store.directory.rows ? end : undefined
  return true
}

/** Makes the copies that walks are steered by for rows whose links came from an image. Nobody may write meanwhile. */
export const restore = async (store: Store, graph: Graph, pool: Pool["Service"]): Promise<void> => {
  const handle = store.handle()
  const copies = graph.unrestored?.map((linked, segment) =>
    runOnMemory<void>(pool, "copy", { segment, linked }, handle)
  )
  await allSettled(copies ?? [])
  graph.unrestored = undefined
  graph.settle(store.directory.live - graph.pendingRows(store.segments, store.directory.live).length)
}

/** Whether there are rows for a task to link, or enough dead ones to repair links around. */
export const isBehind = (store: Store, graph: Graph): boolean =>
  graph.pending(store.directory.live) >= TASK_ROWS ||
  graph.died > REPAIR_SHARE * graph.linked ||
  graph.repaired !== undefined

/** Runs tasks over `[first, end)` on every pool thread, each under a claim of its own. */
const forEachTask = async (
  store: Store,
  pool: Pool["Service"],
  signal: AbortSignal,
  [first, end]: readonly [number, number],
  size: number,
  run: (from: number, to: number, cancel: number) => Promise<unknown>
): Promise<void> => {
  let next = first
  const lane = async (): Promise<void> => {
    while (next < end) {
      signal.throwIfAborted()
      const from = next
      const to = Math.min(end, from + size)
      next = to
      await whileClaimed(store, signal, (cancel) => run(from, to, cancel))
    }
  }
  const lanes = await Promise.allSettled(Array.from({ length: pool.threads }, lane))
  for (const result of lanes) if (result.status === "rejected") throw result.reason
  signal.throwIfAborted()
}
