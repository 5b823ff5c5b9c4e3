/**
 * What a search is, after every default and bound has been applied.
 *
 * A plan is made here and nowhere else, then travels unchanged: collection, worker message,
 * native code. Nothing downstream checks it again.
 */

import { bestSetting, type Chosen, settingFor } from "../calibration.ts"
import { finite, object, oneOf, wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import type { GraphColumns, SearchPlan, SegmentLayout } from "../kernels/contract.ts"
import { CODE_BITS, METRIC, MODE, PRECISION } from "../kernels/shape.ts"
import { DEAD_WORD, LINKED_WORD } from "../store/graph-columns.ts"
import { BLOCK, BLOCKS } from "../store/layout.ts"
import type { SearchColumns, StoreShape } from "../store/memory.ts"
import {
  LEAST_RECALL,
  MAX_EF_SEARCH,
  MAX_FETCH,
  MAX_K,
  MAX_NPROBE,
  MAX_RERANK,
  type MmrOptions,
  MODES,
  type SearchOptions
} from "./options.ts"

/** The choices of a search, before it meets the columns of a moment. */
export interface SearchChoice {
  readonly keep: number
  /** Undefined to let the calibration decide. */
  readonly mode: number | undefined
  /** Undefined where the caller named none. */
  readonly rerank: number | undefined
  readonly nprobe: number | undefined
  readonly efSearch?: number | undefined
  readonly recall: number | undefined
  /** Absent where not asked for, as what follows. */
  readonly minScore?: number
  readonly fetch?: number
  readonly lambda?: number
  readonly fast?: boolean
}

const USUAL_LAMBDA = 0.7
/** Candidates that diverse hits are chosen from, at least and by hits. */
const LEAST_FETCH = 50
const FETCH_FACTOR = 4
/**
 * How far below its score an estimate may be and still be met, for cosine: 3.5 times the spread of the estimates of
 * near rows, which are .029 with 384 components.
 */
const SEED_MARGIN = 0.1
/**
 * Most candidates scored again under a filter: what passes may be far from the query and so near to one another that
 * estimates hardly tell it apart.
 */
const DEEPEST = 1024
/** Candidates scored again where a least score is given: few pass its seed. */
const RANGE_RERANK = 1024
/** Recall that settings are chosen for where none is asked for. */
const USUAL_RECALL = 0.99
/** Up to so many rows an exact search costs no more than its preparation. */
const EXACT_ROWS = 1024

/** Applies bounds, and defaults that need no columns; throws `InvalidParameter`. */
export const choose = (options: SearchOptions, shape: StoreShape): SearchChoice => {
  const keep = wholeNumber("k", options.k ?? 10, 1, MAX_K)
  const name = oneOf("mode", options.mode ?? "auto", MODES)
  const mode = name === "auto" ? undefined : MODE[name]
  const hasVectors = shape.precision !== "none"
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  if (mode === MODE.exact && !hasVectors) {
    throw wrong("mode", "exact needs stored vectors: the precision is none")
  }
  const isPq = shape.pq !== undefined
  if (mode === MODE.pq && !isPq) throw wrong("mode", "pq scans product codes: the codes are 256 signs")
  const isOfEither = mode === undefined || mode === MODE.exact || mode === MODE.ivf
  if (!isOfEither && (mode === MODE.pq) !== isPq) {
    throw wrong("mode", `${name} scans 256 signs: the codes are pq`)
  }
  const { recall } = options
  if (recall !== undefined) {
    if (typeof recall !== "number" || !(recall >= LEAST_RECALL && recall <= 1)) {
      throw wrong("recall", `wanted a number from ${LEAST_RECALL} to 1`)
    }
    if (mode !== undefined) throw wrong("recall", `mode ${name} has no level of recall: leave the mode to the engine`)
    const set = (["rerank", "nprobe", "efSearch"] as const).find((name) => options[name] !== undefined)
    if (set !== undefined) throw wrong(set, "a level of recall decides it: leave out one of the two")
    if (!hasVectors) throw wrong("recall", "nothing to measure it by: the precision is none")
  }
  const optional = (parameter: "rerank" | "nprobe" | "efSearch", least: number, most: number) => {
    const value = options[parameter]
    return value === undefined ? undefined : wholeNumber(parameter, value, least, most)
  }
  return {
    keep,
    mode,
    rerank: optional("rerank", 0, hasVectors || isPq ? MAX_RERANK : 0),
    nprobe: optional("nprobe", 1, MAX_NPROBE),
    efSearch: optional("efSearch", 1, MAX_EF_SEARCH),
    recall,
    ...(options.minScore !== undefined && { minScore: finite("minScore", options.minScore) }),
    ...(options.mmr !== undefined && diversity(options.mmr, keep, hasVectors))
  }
}

/** The choices of diverse hits. */
const diversity = (options: MmrOptions, keep: number, hasVectors: boolean) => {
  const { lambda = USUAL_LAMBDA, fetchK, fast = false } = object("mmr", options)
  const wrong = (parameter: string, reason: string) => new InvalidParameter({ parameter, reason })
  if (!hasVectors) throw wrong("mmr", "nothing to compare hits by: the precision is none")
  if (!(finite("mmr.lambda", lambda) >= 0 && lambda <= 1)) throw wrong("mmr.lambda", "wanted a number from 0 to 1")
  if (typeof fast !== "boolean") throw wrong("mmr.fast", "wanted true or false")
  const usual = Math.min(MAX_FETCH, Math.max(LEAST_FETCH, FETCH_FACTOR * keep))
  return { fetch: wholeNumber("mmr.fetchK", fetchK ?? usual, keep, MAX_FETCH), lambda, fast }
}

/**
 * The plan over every row used so far. Mode hnsw scans all codes where there is no graph of nearly all rows, mode ivf
 * where there are no lists. For a least score, lists are visited as far as was measured to be enough for the nearest of all:
 * those above it are the nearest of these. A number of lists that a caller names says nothing of them.
 */
export const plan = (
  choice: SearchChoice,
  columns: SearchColumns,
  rows: number,
  cancel: number,
  filtered = false
): SearchPlan => {
  const lists = columns.lists?.heads.length ?? 0
  const { keep } = choice
  const { minScore, fetch = 0, lambda, fast } = choice
  const isRange = minScore !== undefined
  const isWalkable = canWalk(columns.graph, rows)
  // Walks were measured over all rows, for the nearest ones.
  const settled = settle(choice, columns, rows, isWalkable && !filtered && !isRange)
  const isNamed = choice.mode !== undefined || choice.nprobe !== undefined
  const isListed = settled.mode === MODE.ivf && lists > 0 && !(isRange && isNamed)
  const walks = settled.mode === MODE.hnsw && isWalkable
  const efSearch = walks ? Math.max(choice.efSearch ?? settled.efSearch ?? Math.max(64, 2 * keep), keep, fetch) : 0
  const depths = [walks && settled.efSearch === undefined ? efSearch : settled.rerank, fetch]
  if (settled.mode !== MODE.binary && (filtered || isRange)) depths.push(usualRerank(columns, keep))
  if (settled.rerank > 0 && isRange) depths.push(RANGE_RERANK)
  const rerank = settled.mode === MODE.exact ? 0 : Math.max(choice.rerank ?? Math.max(...depths), fetch)
  const isEstimated = settled.mode === MODE.flat || settled.mode === MODE.ivf || settled.mode === MODE.pq
  const deepens = filtered && !isRange && choice.mode === undefined && choice.rerank === undefined && isEstimated
  const scansAll = (settled.mode === MODE.ivf && !isListed) || (settled.mode === MODE.hnsw && !walks)
  const mode = scansAll ? scanMode(columns.layout) : settled.mode
  return {
    ...columns.layout,
    keep,
    mode,
    // What a walk finds is always scored again: its own scores are those of copies.
    rerank: rerank === 0 && !walks ? 0 : Math.max(rerank, keep),
    ...(deepens && rerank > 0 && { deepest: Math.max(DEEPEST, rerank) }),
    nprobe: isListed ? Math.min(choice.nprobe ?? settled.nprobe, lists) : 0,
    ...(isListed && choice.nprobe === undefined && settled.margin !== undefined && { margin: settled.margin }),
    fromBlock: 0,
    toBlock: Math.min(Math.ceil(rows / BLOCK), columns.rows.length * BLOCKS),
    cancel,
    ...(walks && { efSearch }),
    ...(isRange && { minScore, seed: seedOf(minScore, mode, rerank, columns) }),
    ...(fetch > 0 && { fetch, lambda, fast })
  }
}

/** What a first stage passes by when only scores from `minScore` on are wanted. */
const seedOf = (minScore: number, mode: number, rerank: number, { layout }: SearchColumns): number => {
  const isEstimated = mode !== MODE.exact && rerank > 0
  // The spread of other estimates depends on the data; the distance of codes estimates nothing.
  if (isEstimated) {
    const isOfSigns = (mode === MODE.flat || mode === MODE.ivf) && layout.subspaces === 0
    const isKnown = isOfSigns && layout.metric === METRIC.cosine
    return isKnown ? minScore - SEED_MARGIN : Number.NEGATIVE_INFINITY
  }
  const below = minScore - 1e-6 * Math.max(1, Math.abs(minScore))
  // Distances are whole numbers, and a scan compares with one.
  const half = CODE_BITS / 2
  return mode === MODE.binary ? 1 - Math.ceil((1 - below) * half) / half : below
}

/** The mode that scans all codes. */
export const scanMode = ({ subspaces }: SegmentLayout): number => (subspaces > 0 ? MODE.pq : MODE.flat)

/** Candidates scored again where nothing was measured. */
const usualRerank = ({ layout }: SearchColumns, keep: number): number =>
  layout.precision === PRECISION.none && layout.subspaces === 0 ? 0 : Math.max(128, 10 * keep)

/** Rows outside a graph that are scanned beside it, however small it is. */
const SCANNED_ROWS = 2048
/** Beyond those, one row for so many that are linked. */
const LINKED_A_SCANNED = 32
/** A walk through more dead rows than so many for each live one takes longer than a scan. */
const DEAD_A_LIVE = 3

const canWalk = (graph: GraphColumns | undefined, rows: number): boolean => {
  if (graph === undefined) return false
  const linked = Atomics.load(graph.words, LINKED_WORD)
  const dead = Math.min(linked, Atomics.load(graph.words, DEAD_WORD))
  return rows - linked <= Math.max(SCANNED_ROWS, linked / LINKED_A_SCANNED) && dead <= DEAD_A_LIVE * (linked - dead)
}

/** Mode, lists and depth: as asked for, as calibrated, or as is usual. */
const settle = (
  { keep, mode, recall, fetch = 0 }: SearchChoice,
  columns: SearchColumns,
  rows: number,
  mayWalk: boolean
): Chosen => {
  const { layout, coded } = columns
  const hasVectors = layout.precision !== PRECISION.none
  const exact = { mode: MODE.exact, rerank: 0, nprobe: 0 }
  const usual = {
    mode: mode ?? scanMode(layout),
    rerank: mode === MODE.binary ? 0 : usualRerank(columns, keep),
    nprobe: Math.ceil((columns.lists?.heads.length ?? 0) / 4)
  }
  // Product codes that are not trained tell no row from another.
  if (layout.subspaces > 0 && !coded && hasVectors) return exact
  if (mode !== undefined || !hasVectors) return usual
  if (recall === 1 || rows <= EXACT_ROWS) return exact
  const { calibration } = columns
  // Diverse hits are chosen from the nearest `fetch`: those are to be found.
  const found = Math.max(keep, fetch)
  const calibrated = calibration && settingFor(calibration, found, recall ?? USUAL_RECALL, mayWalk)
  if (recall !== undefined) return calibrated ?? exact
  // Where no setting reaches what is usual, the one that comes nearest.
  return calibrated ?? (calibration && bestSetting(calibration, found, mayWalk)) ?? usual
}

/**
 * The part of `plan` that one of `count` workers runs. A shard keeps every reranked candidate,
 * so that the merge selects from the same candidates as one scan would, and looks for no more of them.
 */
export const shard = (plan: SearchPlan, index: number, count: number): SearchPlan => {
  const blocks = plan.toBlock - plan.fromBlock
  return {
    ...plan,
    keep: Math.max(plan.keep, plan.rerank),
    wanted: plan.keep,
    fromBlock: plan.fromBlock + Math.floor((blocks * index) / count),
    toBlock: plan.fromBlock + Math.floor((blocks * (index + 1)) / count)
  }
}
