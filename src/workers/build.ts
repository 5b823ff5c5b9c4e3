/** Control plane: one long-lived builder. Comlink carries calls that are rare and report progress. */
import { type MessagePort, parentPort } from "node:worker_threads"
import * as Comlink from "comlink"
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs"
import { type Codebook, trainCodebook } from "../core/index/codebook.ts"
import { encoderParameters } from "../core/index/encoder.ts"
import { trainItq } from "../core/index/itq.ts"
import { decodedRows, rankedCentroids, trainCentroids } from "../core/index/ivf.ts"
import { publishedProjection, seededProjection } from "../core/index/projection.ts"
import { regroupCentroids } from "../core/index/regroup.ts"
import type { SegmentLayout } from "../core/kernels/contract.ts"
import { kernels } from "../core/native.ts"
import { aligned } from "../core/store/aligned.ts"
import type { PqShape } from "../core/store/layout.ts"
import { centroidViews, packCentroids } from "../core/store/list-columns.ts"
import { giveWay } from "./give-way.ts"

giveWay(10)

/** Centroids to train on the codes of `rows`. */
interface CentroidTask {
  readonly layout: SegmentLayout
  readonly encoder: Float32Array
  readonly columns: ReadonlyArray<SharedArrayBuffer>
  readonly rows: Uint32Array
  readonly lists: number
  readonly seed: number
}

/** Lists to split and to merge, by the codes of a sample of the rows of each that is split. */
interface RegroupTask extends Omit<CentroidTask, "rows" | "lists"> {
  readonly centroids: SharedArrayBuffer
  readonly splits: ReadonlyArray<{ readonly list: number; readonly parts: number; readonly rows: Uint32Array }>
  readonly merges: ReadonlyArray<number>
}

const build = {
  /** Parameters of the seeded projection. */
  project: (dimensions: number, seed: number) => encoderParameters(seededProjection(dimensions, seed)),
  /** Parameters of the published projection. */
  publish: (dimensions: number) => encoderParameters(publishedProjection(dimensions)),
  /** Centroids of inverted lists for rows whose codes lie in `columns`. */
  centroids: ({ layout, encoder, columns, rows, lists, seed }: CentroidTask, progress?: (fraction: number) => void) => {
    const codes = columns.map((column) => aligned(kernels, column))
    const centroids = trainCentroids(kernels, decodedRows(layout, encoder, codes, rows), lists, seed, progress)
    return packCentroids(rankedCentroids(kernels, layout, encoder, centroids))
  },
  /** Centroids of which some are split and others go. */
  regroup: ({ layout, encoder, columns, centroids, splits, merges, seed }: RegroupTask) => {
    const codes = columns.map((column) => aligned(kernels, column))
    const parted = splits.map(({ list, parts, rows }) => ({
      list,
      parts,
      points: decodedRows(layout, encoder, codes, rows)
    }))
    const made = regroupCentroids(kernels, layout, encoder, centroidViews(layout, centroids), parted, merges, seed)
    return { ...made, centroids: packCentroids(made.centroids), local: packCentroids(made.local) }
  },
  /** Trains on rows of `sample`, which may be shared memory. */
  train: (sample: Float32Array, dimensions: number, seed: number, progress: MessagePort) =>
    reporting(progress, (progress) => trainItq(kernels, sample, dimensions, { seed, progress })),
  /** Trains the codebooks of product codes on rows of `sample`. */
  trainCodebook: (
    sample: Float32Array,
    dimensions: number,
    pq: PqShape,
    seed: number,
    progress: MessagePort
  ): Codebook => reporting(progress, (progress) => trainCodebook(kernels, sample, dimensions, pq, { seed, progress }))
}

/** Runs `work`, and closes the port to the caller afterwards: it would keep the process alive. */
const reporting = <A>(port: MessagePort, work: (progress: (fraction: number) => void) => A): A => {
  try {
    return work((fraction) => port.postMessage(fraction))
  } finally {
    port.close()
  }
}

export type Build = typeof build

if (parentPort !== null) Comlink.expose(build, nodeEndpoint(parentPort))
