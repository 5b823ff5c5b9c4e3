/** Control plane: one long-lived builder. Comlink carries calls that are rare and report progress. */
import { parentPort } from "node:worker_threads"
import * as Comlink from "comlink"
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs"
import { encoderParameters } from "../core/index/encoder.ts"
import { trainItq } from "../core/index/itq.ts"
import { decodedRows, rankedCentroids, trainCentroids } from "../core/index/ivf.ts"
import { publishedProjection, seededProjection } from "../core/index/projection.ts"
import type { SegmentLayout } from "../core/kernels/contract.ts"
import { kernels } from "../core/native.ts"
import { aligned } from "../core/store/aligned.ts"
import type { Metric } from "../core/store/layout.ts"
import { packCentroids } from "../core/store/list-columns.ts"

/** Centroids to train on the codes of `rows`. */
interface CentroidTask {
  readonly layout: SegmentLayout
  readonly metric: Metric
  readonly encoder: Float32Array
  readonly columns: ReadonlyArray<SharedArrayBuffer>
  readonly rows: Uint32Array
  readonly lists: number
  readonly seed: number
}

const build = {
  /** Parameters of the seeded projection. */
  project: (dimensions: number, seed: number) => encoderParameters(seededProjection(dimensions, seed)),
  /** Parameters of the published projection. */
  publish: (dimensions: number) => encoderParameters(publishedProjection(dimensions)),
  /** Centroids of inverted lists for rows whose codes lie in `columns`. */
  centroids: (
    { layout, metric, encoder, columns, rows, lists, seed }: CentroidTask,
    progress?: (fraction: number) => void
  ) => {
    const codes = columns.map((column) => aligned(kernels, column))
    const centroids = trainCentroids(kernels, decodedRows(layout, codes, rows), lists, seed, progress)
    return packCentroids(rankedCentroids(kernels, metric, encoder, centroids))
  },
  /** Trains on rows of `sample`, which may be shared memory. */
  train: (sample: Float32Array, dimensions: number, seed: number) => trainItq(kernels, sample, dimensions, { seed })
}

export type Build = typeof build

if (parentPort !== null) Comlink.expose(build, nodeEndpoint(parentPort))
