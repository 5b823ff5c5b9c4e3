/** Control plane: one long-lived builder. Comlink carries calls that are rare and report progress. */
import { parentPort } from "node:worker_threads"
import * as Comlink from "comlink"
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs"
import { encoderParameters } from "../core/index/encoder.ts"
import { trainItq } from "../core/index/itq.ts"
import { publishedProjection, seededProjection } from "../core/index/projection.ts"
import { kernels } from "../core/native.ts"

const build = {
  /** Parameters of the seeded projection. */
  project: (dimensions: number, seed: number) => encoderParameters(seededProjection(dimensions, seed)),
  /** Parameters of the published projection. */
  publish: (dimensions: number) => encoderParameters(publishedProjection(dimensions)),
  /** Trains on rows of `sample`, which may be shared memory. */
  train: (sample: Float32Array, dimensions: number, seed: number) => trainItq(kernels, sample, dimensions, { seed })
}

export type Build = typeof build

if (parentPort !== null) Comlink.expose(build, nodeEndpoint(parentPort))
