/** A thread that opens an index for itself and searches it when asked. */
import { parentPort, workerData } from "node:worker_threads"
import { adapterOf } from "./catalogue.ts"
import { readQueries } from "./data-files.ts"
import type { Configuration, Setting } from "./peer.ts"
import { singleTimes } from "./searching.ts"

export interface LaneStart {
  readonly peer: string
  readonly configuration: Configuration
  readonly data: string
  readonly index: string
}

export type LaneRequest = { readonly setting: Setting } | { readonly queries: string; readonly turnMs: number }

export interface LaneAnswer {
  readonly qps: number
}

const { peer, configuration, data, index }: LaneStart = workerData
const answer = (qps: number) => parentPort?.postMessage({ qps } satisfies LaneAnswer)

const adapter = await adapterOf(peer)
const sets = readQueries(data, configuration.task)
const opened = await adapter.open(configuration, index, { width: sets[0]!.matrix.width, threads: 1 })

parentPort?.on("message", async (request: LaneRequest) => {
  if ("setting" in request) {
    await opened.tune?.(request.setting)
    answer(0)
    return
  }
  const set = sets.find(({ name }) => name === request.queries)!
  const { qps } = await singleTimes(opened, set.matrix, request.turnMs)
  answer(qps)
})
answer(0)
