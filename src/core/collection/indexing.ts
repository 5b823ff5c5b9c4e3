/**
 * What searches of a collection are sped up and planned by: inverted lists, and the calibration of recall and cost.
 * Both follow the collection in the background; searches are right without them.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Background } from "../background.ts"
import type { Builder } from "../builder.ts"
import type { Calibration } from "../calibration.ts"
import type { SabineError } from "../errors.ts"
import { isMade } from "../index/encoder.ts"
import { abortable } from "../lift.ts"
import type { Pool } from "../pool.ts"
import { CALIBRATION_QUERIES, calibrate } from "../search/calibrate.ts"
import { calibrateWalks } from "../search/calibrate-walks.ts"
import type { Store } from "../store/store.ts"
import { canTrain } from "./encoding.ts"
import { isBehind } from "./linking.ts"
import { assignAll, fillLists, trainLists } from "./lists.ts"
import type { CollectionShape, IndexChoice } from "./options.ts"
import { driftOf, planRegrouping, regroup } from "./regrouping.ts"
import { storedRows } from "./samples.ts"

/** Live rows with vectors from which lists are made unasked: below, scanning all codes takes no longer. */
const AUTO_ROWS = 32_768
/** Live rows from which lists are made where they are asked for. */
const LEAST_ROWS = 2048
/** Live rows from which recall is measured: below, an exact search is quick. */
const CALIBRATED_ROWS = 2048
/** Growth after which lists are made anew, for there should be more of them. */
const LIST_GROWTH = 4
/** Changes of the collection after which its lists are looked through for those that are too long or too short. */
const CHANGES_A_LOOK = 1024
/** Rounds of splits and merges one after another; what is left waits for the next look. */
const MAX_ROUNDS = 64
/** Part of the rows that went to other lists after which recall and cost are measured again. */
const MOVED_SHARE = 1 / 8
/** Part of the rows that was written since after which recall and cost are measured again. */
const WRITTEN_SHARE = 1 / 2
/** Loss after which they are. */
const CALIBRATION_LOSS = 2

/** Rows that went to other lists since recall was measured. */
const movedSince = (calibration: Calibration | undefined): number => calibration?.moved ?? 0

interface IndexingParts {
  readonly shape: CollectionShape
  readonly index: IndexChoice
  readonly store: Store
  readonly pool: Pool["Service"]
  readonly builder: Builder["Service"]
  readonly background: Background
  readonly exclusively: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
  /** Runs an effect while no link of the graph is written. */
  readonly whileAtRest: <A>(effect: Effect.Effect<A, SabineError>) => Effect.Effect<A, SabineError>
}

interface Indexing {
  /**
   * Makes the lists that the collection's `index` asks for, where they are not those of the entries of this moment.
   * Without entries, or while the codes are yet to be trained, there is nothing to do.
   */
  readonly buildLists: Effect.Effect<void, SabineError>
  /** Measures recall and cost where that is not done for the entries of this moment. */
  readonly calibrate: Effect.Effect<void, SabineError>
  /** Starts what is due after a write; nothing is waited for. */
  readonly inBackground: () => void
}

export const makeIndexing = Effect.fnUntraced(function* (parts: IndexingParts) {
  const { store, shape, index, pool, builder, background, exclusively, whileAtRest } = parts
  // One at a time, whoever asks.
  const permit = yield* Semaphore.make(1)
  /** Live rows when the lists in force were made. */
  let listed = store.directory.live
  /** Changes of the collection when its lists were last looked through. */
  let looked: number | undefined

  const asksForLists = typeof index === "object" ? index.ivf !== undefined : index === "auto" || index === "ivf"
  const codesAreFinal = () => isMade(store.codes.encoder) && !canTrain(store, shape, store.directory.live)
  // Where nothing can be measured, mode auto would not choose them.
  const areUseful = index !== "auto" || shape.precision !== "none"
  const wantsLists = (least: number) => asksForLists && areUseful && codesAreFinal() && store.directory.live >= least
  if (!asksForLists) store.dropLists()

  const wanted = typeof index === "object" ? index.ivf?.lists : undefined

  const makeLists = Effect.gen(function* () {
    const { version } = store.codes
    // Before the rows are read that centroids are made of: of those that come meanwhile they know nothing.
    const { live } = store.directory
    const centroids = yield* abortable((signal) => trainLists(store, builder, wanted, signal))
    yield* exclusively(
      abortable(async (signal) => {
        // Codes that were replaced meanwhile are not those that the centroids speak of.
        if (store.codes.version !== version) return
        await fillLists(store, pool, centroids, signal)
        listed = live
      })
    )
  })

  /** Splits and merges lists until none needs it. */
  const followDrift = Effect.gen(function* () {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const { lists, codes, directory } = store
      looked = directory.changes
      if (lists === undefined) return
      const drift = yield* abortable((signal) => driftOf(lists, directory.live, wanted, signal))
      if (drift === undefined) return
      const plan = yield* abortable((signal) => planRegrouping(store, lists, builder, drift, signal))
      if (plan === undefined) continue
      yield* exclusively(
        abortable(async (signal) => {
          if (store.lists !== lists || store.codes.version !== codes.version) return
          // Blocks of rounds before may be free by now.
          store.slots.reclaim()
          const assign = (rows: Uint32Array, near: SharedArrayBuffer) => assignAll(store, pool, near, rows, signal)
          const moved = await regroup(lists, assign, plan, signal)
          const { measured } = store
          // With what was measured, and in images with it.
          if (measured !== undefined) store.useCalibration({ ...measured, moved: movedSince(measured) + moved })
        })
      )
    }
  })
  const driftIsDue = () =>
    store.lists !== undefined &&
    codesAreFinal() &&
    (looked === undefined || Math.abs((store.directory.changes - looked) | 0) >= CHANGES_A_LOOK)

  /** The graph, where every row is in it. */
  const wholeGraph = () => {
    const { graph, kernels } = store
    const canWalk = graph !== undefined && graph.unrestored === undefined && kernels.graph !== undefined
    return canWalk && !isBehind(store, graph) ? graph : undefined
  }
  const walksAreDue = () => wholeGraph() !== undefined && store.codes.calibration?.walks === undefined

  const measureAtRest = abortable(async (signal) => {
    const { writes } = store
    const { version, lists } = store.codes
    const sample = await storedRows(store, CALIBRATION_QUERIES)
    if (sample.rows.length === 0) return
    const scans = await calibrate(store, pool, sample, signal)
    const graph = wholeGraph()
    const calibration = graph ? { ...scans, walks: await calibrateWalks(store, graph, pool, sample, signal) } : scans
    if (store.codes.version !== version || store.codes.lists?.heads !== lists?.heads) return
    store.useCalibration(store.writes > writes ? { ...calibration, written: store.writes - writes } : calibration)
  })
  const measure = whileAtRest(measureAtRest)

  const listsAreDue = () => {
    const least = index === "auto" ? AUTO_ROWS : LEAST_ROWS
    return wantsLists(least) && (store.lists === undefined || store.directory.live > LIST_GROWTH * listed)
  }
  const calibrationIsDue = () => {
    const { live } = store.directory
    const { measured } = store
    const isOther =
      measured === undefined ||
      (measured.written ?? 0) > WRITTEN_SHARE * live ||
      live * CALIBRATION_LOSS < measured.rows ||
      movedSince(measured) > MOVED_SHARE * live
    const isDue = isOther || walksAreDue()
    return shape.precision !== "none" && live >= CALIBRATED_ROWS && codesAreFinal() && isDue
  }

  const listsAreFresh = () => store.lists !== undefined && listed === store.directory.live
  const isMeasured = () => {
    const { rows, moved, written } = store.measured ?? {}
    return rows === store.directory.live && !moved && !written && !walksAreDue()
  }

  const due = Effect.gen(function* () {
    if (listsAreDue()) yield* makeLists
    // What was written meanwhile found this at work.
    do {
      if (driftIsDue()) yield* followDrift
      if (calibrationIsDue()) yield* measure
    } while (driftIsDue())
  })

  let started = false
  const whatIsDue = permit.withPermit(due).pipe(
    // Searches go on by what is there: right, only slower than they could be.
    Effect.catch((error) => Effect.logWarning("building the index failed", error)),
    Effect.ensuring(Effect.sync(() => (started = false)))
  )
  return {
    buildLists: permit.withPermit(Effect.suspend(() => (wantsLists(1) && !listsAreFresh() ? makeLists : Effect.void))),
    calibrate: permit.withPermit(
      Effect.suspend(() => (shape.precision !== "none" && codesAreFinal() && !isMeasured() ? measure : Effect.void))
    ),
    inBackground: () => {
      if (started || !(listsAreDue() || driftIsDue() || calibrationIsDue())) return
      started = true
      background(whatIsDue)
    }
  } satisfies Indexing
})
