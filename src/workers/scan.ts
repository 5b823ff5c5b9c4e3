/**
 * Data plane: pool workers over shared memory, one native call a message. No Effect here, and no
 * state but views of the memory that messages brought.
 */
import { kernels } from "../core/native.ts"
import { newHits } from "../core/search/hits.ts"
import { marginSums } from "../core/search/margins.ts"
import type {
  AssignTask,
  CopyTask,
  EncodeTask,
  LinkTask,
  MarginsTask,
  MeasureDone,
  MeasureTask,
  OnMemory,
  RepairTask,
  Reply,
  SearchDone,
  SearchTask,
  TruthTask,
  WriteTask
} from "../core/search/task.ts"
import { foundOf, type Truth, truthOf } from "../core/search/truth.ts"
import { aligned } from "../core/store/aligned.ts"
import { assignRows } from "../core/store/assign.ts"
import { centroidViews } from "../core/store/list-columns.ts"
import { type SearchColumns, searchColumns, segmentViews } from "../core/store/memory.ts"
import { writeVectors } from "../core/store/write.ts"
import { giveWay } from "./give-way.ts"

export { spectrumOfTensor } from "../core/spectrum.ts"
export { embedTexts } from "./embed.ts"

// What callers wait for comes before what is trained, and the event loop before both.
giveWay(5)

/** A task that does nothing: the pool starts a worker for it when it has too few. */
export const wake = (): void => undefined

interface Known {
  readonly growth: number
  readonly directory: Int32Array
  readonly columns: SearchColumns
}

/** The newest memory seen of each store. */
const known = new Map<string, Known>()

const on = <T extends OnMemory, A>(task: T, work: (memory: Known) => A): Reply<A> => {
  if (task.memory !== undefined) {
    const { memory } = task
    const segments = memory.segments.map((buffers) => segmentViews(kernels, memory.shape, buffers))
    known.set(task.id, {
      growth: memory.growth,
      directory: new Int32Array(memory.directory),
      columns: searchColumns(kernels, memory, segments)
    })
  }
  const memory = known.get(task.id)
  return memory === undefined || memory.growth !== task.growth ? { stale: true } : { stale: false, value: work(memory) }
}

const searched = (
  { columns, directory }: Known,
  { plan, queries, filter }: Pick<SearchTask, "plan" | "queries"> & Partial<Pick<SearchTask, "filter">>
): SearchDone => {
  const hits = newHits(queries.length / plan.dimensions, plan.keep)
  const start = performance.now()
  kernels.search(plan, columns, queries, directory, hits, filter)
  return { hits, microseconds: (performance.now() - start) * 1000 }
}

export const search = (task: SearchTask): Reply<SearchDone> => on(task, (memory) => searched(memory, task))

export const truth = (task: TruthTask): Reply<Truth> =>
  on(task, (memory) => truthOf(searched(memory, task).hits, task.queries, task.plan.metric, task.asked))

export const measure = (task: MeasureTask): Reply<MeasureDone> =>
  on(task, (memory) => {
    const { hits, microseconds } = searched(memory, task)
    const candidates = hits.counts.reduce((sum, count) => sum + count, 0)
    return { found: foundOf(hits, task.truth, task.depths), candidates, queryUs: microseconds / hits.counts.length }
  })

export const margins = (task: MarginsTask): Reply<ReadonlyArray<number>> =>
  on(task, ({ columns }) => marginSums(kernels, columns, columns.layout, task.queries, task.counts))

export const write = (task: WriteTask): Reply<Uint32Array | undefined> =>
  on(task, ({ columns }) => writeVectors(kernels, columns, task.rows, task.vectors))

export const assign = (task: AssignTask): Reply<Uint32Array> =>
  on(task, ({ columns }) => assignRows(kernels, columns, centroidViews(columns.layout, task.centroids), task.rows))

export const encode = (task: EncodeTask): Reply<void> =>
  on(task, ({ columns }) => {
    const layout = { ...columns.layout, factorScale: task.factorScale, rotated: task.rotated }
    const rows = columns.rows[task.segment]!
    kernels.encodeStored(layout, 0, task.slots, task.parameters, rows, aligned(kernels, task.column))
  })

export const link = (task: LinkTask): Reply<void> =>
  on(task, ({ columns, directory }) => {
    kernels.graph?.insert(columns.layout, columns, task.rows, task.efConstruction, directory, task.cancel)
  })

export const repair = (task: RepairTask): Reply<void> =>
  on(task, ({ columns, directory }) => {
    const { from, to, efConstruction, cancel } = task
    kernels.graph?.repair(columns.layout, columns, from, to, efConstruction, directory, cancel)
  })

export const copy = (task: CopyTask): Reply<void> =>
  on(task, ({ columns }) => {
    kernels.graph?.copy(columns.layout, columns, task.segment, task.linked)
  })
