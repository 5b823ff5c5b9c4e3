/** Inverted lists around a store, made as collections make them, on the calling thread. */
import { decodedRows, rankedCentroids, trainCentroids } from "../src/core/index/ivf.ts"
import { newHits } from "../src/core/search/hits.ts"
import { choose, plan } from "../src/core/search/plan.ts"
import { assignRows } from "../src/core/store/assign.ts"
import { SLOTS } from "../src/core/store/layout.ts"
import { packCentroids } from "../src/core/store/list-columns.ts"
import { isLive } from "../src/core/store/memory.ts"
import type { Store } from "../src/core/store/store.ts"
import { randomVectors } from "./property/kernels/random.ts"

/** The rows that are live, in order. */
export const liveRowsOf = (store: Store): Uint32Array =>
  Uint32Array.from({ length: store.directory.rows }, (_, row) => row).filter((row) =>
    isLive(store.segments[Math.floor(row / SLOTS)]!, row % SLOTS)
  )

/** Most rows that `listedRows` tells of. */
const MOST = 1024

/** Every row that a search of all lists meets, in order. */
export const listedRows = (store: Store): ReadonlyArray<number> => {
  const choice = choose({ mode: "ivf", nprobe: 2 ** 20, rerank: 0, k: MOST }, store.shape)
  const hits = newHits(1, MOST)
  const whole = plan(choice, store.columns, store.directory.rows, 20)
  store.kernels.search(whole, store.columns, randomVectors(3, store.shape.dimensions), store.directory.words, hits)
  return Array.from(hits.rows.subarray(0, hits.counts[0]!)).sort((a, b) => a - b)
}

/** Puts every live row into `lists` lists and those in force. */
export const listAll = (store: Store, lists: number, seed = 1): void => {
  const { kernels, columns, codes } = store
  const rows = liveRowsOf(store)
  const points = decodedRows(columns.layout, codes.encoder.parameters, columns.codes, rows)
  const centroids = trainCentroids(kernels, points, lists, seed)
  const made = store.newLists(
    packCentroids(rankedCentroids(kernels, columns.layout, codes.encoder.parameters, centroids))
  )
  const assigned = assignRows(kernels, columns, made.centroids, rows)
  for (const [i, row] of rows.entries()) made.append(row, assigned[i]!)
  store.useLists(made)
}
