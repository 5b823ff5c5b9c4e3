/** What one process does for one configuration of a peer written for Node. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { readBase, readQueries } from "./data-files.ts"
import { type Job, K, type Point, print } from "./job.ts"
import { openLanes } from "./lanes.ts"
import { type Adapter, type Opened, rowOf, type Setting } from "./peer.ts"
import { batchRate, nearness, recallOf, singleTimes } from "./searching.ts"

type Stage<S extends Job["stage"]> = Extract<Job, { readonly stage: S }>
type Searched = Omit<Extract<Job, { readonly turnMs: number }>, "stage">

export const list = ({ version, configurations }: Adapter): void => print({ stage: "list", version, configurations })

export const build = async (adapter: Adapter, job: Stage<"build">): Promise<void> => {
  const base = readBase(job.data)
  const cpu = process.cpuUsage()
  const start = performance.now()
  const { threads, save } = await adapter.build(job.configuration, base, job.index, job.threads)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await save?.()
  print({ stage: "build", seconds, cpuSeconds: (user + system) / 1e6, threads })
}

export const openOnly = async (adapter: Adapter, { configuration, data, index }: Searched): Promise<void> => {
  const { matrix } = readQueries(data, configuration.task)[0]!
  const query = rowOf(matrix, 0)
  const start = performance.now()
  const opened = await adapter.open(configuration, index, { width: matrix.width, threads: 1 })
  await opened.search(query, K)
  print({ stage: "open", ms: performance.now() - start })
  await opened.close?.()
}

const NO_SETTING: ReadonlyArray<Setting> = [{}]

/** Everything at one thread, then the batches once more at two. */
export const search = async (adapter: Adapter, peer: string, job: Searched): Promise<void> => {
  const { configuration, data, index, turnMs } = job
  const sets = readQueries(data, configuration.task)
  const settings = configuration.settings ?? NO_SETTING
  const { width } = sets[0]!.matrix
  const resident = residentBytes()
  const alone = await adapter.open(configuration, index, { width, threads: 1 })
  for (const { matrix } of sets) await recallOf(alone, matrix, () => false)
  print({ stage: "memory", residentBytes: residentBytes() - resident })

  const hasRates = configuration.task === "approximate"
  const points: Array<Point> = []
  for (const setting of settings) {
    await alone.tune?.(setting)
    for (const set of sets) {
      const recall = await recallOf(alone, set.matrix, nearness(data, set))
      const { p50, p99, qps } = await singleTimes(alone, set.matrix, turnMs)
      const qps1 = alone.searchMany && hasRates ? await batchRate(alone.searchMany, set.matrix, turnMs) : qps
      points.push({ stage: "search", setting, queries: set.name, recall, p50, p99, qps1, qps2: null })
    }
  }
  const isBatched = alone.searchMany !== undefined
  await alone.close?.()
  if (!hasRates) {
    for (const point of points) print({ ...point, qps1: null })
    return
  }
  const pair = isBatched
    ? batched(await adapter.open(configuration, index, { width, threads: 2 }), sets)
    : await openLanes({ peer, configuration, data, index })
  for (const setting of settings) {
    await pair.tune(setting)
    for (const point of points) {
      if (point.setting === setting) print({ ...point, qps2: await pair.rate(point.queries, turnMs) })
    }
  }
  await pair.close()
}

const batched = (opened: Opened, sets: ReturnType<typeof readQueries>) => ({
  tune: async (setting: Setting) => opened.tune?.(setting),
  rate: (queries: string, turnMs: number) =>
    batchRate(opened.searchMany!, sets.find(({ name }) => name === queries)!.matrix, turnMs),
  close: async () => opened.close?.()
})

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

const residentBytes = (): number => {
  collectGarbage()
  return process.memoryUsage.rss()
}
