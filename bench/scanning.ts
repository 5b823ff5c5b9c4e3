/** Searches as one native call on the calling thread, and the memory they read. */
import type { Hits, Kernels, SearchPlan } from "../src/core/kernels/contract.ts"
import { newHits } from "../src/core/search/hits.ts"
import type { SearchOptions } from "../src/core/search/options.ts"
import { choose, plan } from "../src/core/search/plan.ts"
import { BLOCK, type Column, codeColumns, SLOTS } from "../src/core/store/layout.ts"
import { claimEpoch } from "../src/core/store/searchable.ts"
import type { Store } from "../src/core/store/store.ts"

/** A search of `count` queries at a time over part of a store: all of it unless `toBlock` says less. */
export const scanner = (
  store: Store,
  options: SearchOptions,
  { count = 1, toBlock }: { readonly count?: number; readonly toBlock?: number } = {}
): ((queries: Float32Array) => Hits) => {
  const { kernels, directory, columns } = store
  const choice = choose(options, store.shape)
  const whole = plan(choice, columns, directory.rows, directory.cancelWord(claimEpoch(store)))
  const part: SearchPlan = { ...whole, toBlock: toBlock ?? whole.toBlock }
  const hits = newHits(count, choice.keep)
  return (queries) => {
    kernels.search(part, columns, queries, directory.words, hits)
    return hits
  }
}

/** Calls `search` with the next `count` queries each time, and starts again at the end. */
export const inTurn = (
  queries: { readonly vectors: Float32Array; readonly count: number },
  dimensions: number,
  search: (queries: Float32Array) => unknown,
  count = 1
): (() => unknown) => {
  const groups = Array.from({ length: Math.floor(queries.count / count) }, (_, i) =>
    queries.vectors.slice(i * count * dimensions, (i + 1) * count * dimensions)
  )
  let next = 0
  return () => search(groups[next++ % groups.length]!)
}

/**
 * Reads every byte of `views` once, with the instruction set that does it quickest here: the memory limit. Which one
 * that is depends on the size: past the last cache narrow loads can be ahead of wide ones.
 */
export const streamer = (kernels: Kernels, views: ReadonlyArray<Uint8Array>): (() => number) => {
  const stream = (isa: string) => () => {
    const inForce = kernels.activeIsa()
    kernels.useIsa(isa)
    let digest = 0
    for (const view of views) digest ^= kernels.streamBytes(view)
    kernels.useIsa(inForce)
    return digest
  }
  const [quickest] = kernels
    .isas()
    .map((isa) => ({ isa, time: bestOf(TRIALS, stream(isa)) }))
    .sort((a, b) => a.time - b.time)
  return stream(quickest!.isa)
}

const TRIALS = 7

const bestOf = (trials: number, run: () => unknown): number => {
  const times = Array.from({ length: trials }, () => {
    const start = performance.now()
    run()
    return performance.now() - start
  })
  return Math.min(...times)
}

/** What a scan of codes reads of the rows in use: codes and, of signs, factors and norms, one view each a segment. */
export const codeViews = (store: Store): ReadonlyArray<Uint8Array> =>
  viewsOf(store, codeColumns(store.shape.metric, store.shape.pq))

/** What a binary scan reads: codes alone. */
export const bitViews = (store: Store): ReadonlyArray<Uint8Array> =>
  viewsOf(store, codeColumns(store.shape.metric).slice(0, 1))

const viewsOf = ({ columns, directory }: Store, wanted: ReadonlyArray<Column>): ReadonlyArray<Uint8Array> =>
  columns.codes.flatMap((codes, segment) => {
    const blocks = Math.ceil(rowsOf(directory.rows, segment) / BLOCK)
    return wanted.map(({ offset, blockBytes }) => codes.subarray(offset, offset + blocks * blockBytes))
  })

/** Vectors of the rows in use, one view a segment; the scales of int8 are left out. */
export const vectorViews = ({ columns, directory }: Store): ReadonlyArray<Uint8Array> => {
  const { vectorsOffset, dimensions, precision } = columns.layout
  const rowBytes = dimensions * [4, 2, 1, 0][precision]!
  return columns.rows.map((column, segment) =>
    column.subarray(vectorsOffset, vectorsOffset + rowsOf(directory.rows, segment) * rowBytes)
  )
}

const rowsOf = (rows: number, segment: number): number => Math.min(SLOTS, rows - segment * SLOTS)
