/** Rounds of splits and merges of lists, on the calling thread. */
import { driftOf, regroup } from "../src/core/collection/regrouping.ts"
import { decodedRows } from "../src/core/index/ivf.ts"
import { regroupCentroids } from "../src/core/index/regroup.ts"
import { assignRows } from "../src/core/store/assign.ts"
import { centroidViews, packCentroids } from "../src/core/store/list-columns.ts"
import type { Store } from "../src/core/store/store.ts"
import { liveRowsOf } from "./lists.ts"

/** Rows of every list. */
export const sizesOf = ({ lists }: Store): ReadonlyArray<number> =>
  Array.from({ length: lists!.count }, (_, list) => lists!.sizeOf(list))

/** Runs what is due of a store that should have `wanted` lists; false when nothing was. */
export const regroupOnce = async (store: Store, wanted: number, seed: number): Promise<boolean> => {
  const { kernels, columns, codes } = store
  const lists = store.lists!
  const drift = await driftOf(lists, store.directory.live, wanted)
  if (drift === undefined) return false
  const live = liveRowsOf(store)
  const { parameters } = codes.encoder
  const splits = drift.splits.map(({ list, parts }) => {
    const rows = live.filter((row) => lists.listOf(row) === list)
    return { list, parts, points: decodedRows(columns.layout, parameters, columns.codes, rows) }
  })
  const made = regroupCentroids(kernels, columns.layout, parameters, lists.centroids, splits, drift.merges, seed)
  const plan = { ...made, centroids: packCentroids(made.centroids), local: packCentroids(made.local) }
  const assign = async (rows: Uint32Array, centroids: SharedArrayBuffer) =>
    assignRows(kernels, columns, centroidViews(columns.layout, centroids), rows)
  await regroup(lists, assign, plan)
  return true
}
