/**
 * Compaction: what deleted entries leave behind is gathered and given back, in turns of a millisecond between which
 * others write. Searches go on all the time.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { SabineError } from "../errors.ts"
import { abortable, attempt } from "../lift.ts"
import type { CollectionLog } from "../log/storage.ts"
import { forEachSliced } from "../slice.ts"
import { boundOf, moveRecords, moveRows, readersGone, rewriteLists } from "../store/compaction.ts"
import { pruneLinks } from "../store/prune.ts"
import type { Store } from "../store/store.ts"
import { releaseUnused } from "../store/unused.ts"
import type { OnIndexProgress } from "./linking.ts"

/** Times that rows are moved again because others wrote more meanwhile than there was room left for. */
const ATTEMPTS = 4
/** Times that lists are gone through: what one pass frees is written by the next. */
const LIST_PASSES = 8

/** What a compaction did. */
export interface CompactionResult {
  /** Entries that went to another slot. */
  readonly movedRows: number
  /** Keys and payloads that went to another place. */
  readonly movedPayloads: number
  /** Bytes that columns, index and payloads take less than before, `stats().bytes.touched`; at least 0. */
  readonly freedBytes: number
  /** Bytes that images and log take less on the disk; at least 0, and 0 in memory. */
  readonly freedDiskBytes: number
}

interface CompactingParts {
  readonly store: Store
  readonly log: CollectionLog | undefined
  readonly exclusively: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
  /** Runs an effect while no link of the graph is written. */
  readonly whileAtRest: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
  /** Links every row, and replaces links to rows that are gone. */
  readonly buildGraph: (onProgress: OnIndexProgress | undefined) => Effect.Effect<void, SabineError>
}

/** What compacts a collection, once however many ask. */
export const makeCompacting = Effect.fnUntraced(function* ({
  store,
  log,
  exclusively,
  whileAtRest,
  buildGraph
}: CompactingParts) {
  const permit = yield* Semaphore.make(1)
  const atTurn = <A>(work: () => A) => exclusively(attempt(work))
  const waitForReaders = abortable((signal) => readersGone(store, signal))

  /** Moves every row from `bound` on below it, as long as there is room; how many. */
  const moveAll = Effect.fnUntraced(function* (bound: number) {
    let moved = 0
    let row = store.directory.rows - 1
    let wasStuck = false
    while (row >= bound && store.slots.isBounded) {
      const step = yield* atTurn(() => moveRows(store, bound, row))
      moved += step.moved
      row = step.row
      if (step.isStuck && wasStuck) break
      // A search that a move made look again has its second look before the next move.
      if (step.moved > 0 || step.isStuck) yield* waitForReaders
      wasStuck = step.isStuck
    }
    return moved
  })

  /** Gives up the slots from `bound` on; false when somebody has taken one since. */
  const cutAt = (bound: number) =>
    whileAtRest(
      Effect.andThen(
        // Rows that are in use beyond the bound stay linked.
        abortable(async () => store.graph && store.canCut(bound) && pruneLinks(store.graph, bound)),
        exclusively(
          abortable(async () => {
            const end = store.directory.rows
            const isCut = store.cut(bound)
            if (isCut) await releaseUnused(store, end)
            return isCut
          })
        )
      )
    )

  const compactRows = Effect.gen(function* () {
    let moved = 0
    for (let tries = 0; tries < ATTEMPTS; tries++) {
      const bound = yield* atTurn(() => {
        const bound = boundOf(store, tries)
        if (bound !== undefined) store.slots.bind(bound)
        return bound
      })
      if (bound === undefined) break
      moved += yield* moveAll(bound)
      const { graph } = store
      if (graph !== undefined) {
        graph.repaired ??= 0
        yield* buildGraph(undefined)
      }
      yield* waitForReaders
      if (yield* cutAt(bound)) break
    }
    return moved
  }).pipe(Effect.ensuring(Effect.sync(() => store.slots.unbind())))

  const compactRecords = Effect.gen(function* () {
    const isSparse = yield* atTurn(() => store.records.closeSparse())
    const end = isSparse ? store.directory.rows : 0
    let moved = 0
    for (let row = 0; row < end; ) {
      const step = yield* atTurn(() => moveRecords(store, row, end))
      moved += step.moved
      row = step.row
    }
    yield* waitForReaders
    return moved
  })

  const compactLists = Effect.gen(function* () {
    const { lists } = store
    if (lists === undefined) return
    const isInForce = () => store.lists === lists
    for (let pass = 0, rewritten = 1; pass < LIST_PASSES && rewritten > 0; pass++) {
      rewritten = 0
      for (let list = 0; list < lists.count && isInForce(); ) {
        const step = yield* atTurn(() => rewriteLists(lists, list))
        rewritten += step.rewritten
        list = step.list
      }
      yield* waitForReaders
    }
    yield* exclusively(
      abortable(async () => {
        const parts = isInForce() ? lists.cut() : []
        await forEachSliced(parts.length, undefined, (i) => store.kernels.releasePages(parts[i]!), 1)
      })
    )
  })

  const touched = () => Object.values(store.columnBytes()).reduce((sum, column) => sum + column.touched, 0)
  return permit.withPermit(
    Effect.gen(function* () {
      const before = touched()
      const movedRows = yield* compactRows
      const movedPayloads = yield* compactRecords
      yield* compactLists
      const freedBytes = Math.max(0, before - touched())
      const freedDiskBytes = yield* abortable(async () => (await log?.compact()) ?? 0)
      return { movedRows, movedPayloads, freedBytes, freedDiskBytes } satisfies CompactionResult
    })
  )
})
