/** Inverted lists around a store, made as collections make them, on the calling thread. */
import { decodedRows, rankedCentroids, trainCentroids } from "../src/core/index/ivf.ts"
import { assignRows } from "../src/core/store/assign.ts"
import { SLOTS } from "../src/core/store/layout.ts"
import { packCentroids } from "../src/core/store/list-columns.ts"
import { isLive } from "../src/core/store/memory.ts"
import type { Store } from "../src/core/store/store.ts"

/** The rows that are live, in order. */
export const liveRowsOf = (store: Store): Uint32Array =>
  Uint32Array.from({ length: store.directory.rows }, (_, row) => row).filter((row) =>
    isLive(store.segments[Math.floor(row / SLOTS)]!, row % SLOTS)
  )

/** Puts every live row into `lists` lists and those in force. */
export const listAll = (store: Store, lists: number, seed = 1): void => {
  const { kernels, columns, shape, codes } = store
  const rows = liveRowsOf(store)
  const points = decodedRows(columns.layout, columns.codes, rows)
  const centroids = trainCentroids(kernels, points, lists, seed)
  const made = store.newLists(
    packCentroids(rankedCentroids(kernels, shape.metric, codes.encoder.parameters, centroids))
  )
  const assigned = assignRows(kernels, columns, made.centroids, rows)
  for (const [i, row] of rows.entries()) made.append(row, assigned[i]!)
  store.useLists(made)
}
