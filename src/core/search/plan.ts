/**
 * What a search is, after every default and bound has been applied.
 *
 * A plan is made here and nowhere else, then travels unchanged: collection, worker message,
 * native code. Nothing downstream checks it again.
 */
import { oneOf, wholeNumber } from "../checked.ts"
import { InvalidParameter } from "../errors.ts"
import type { SearchPlan } from "../kernels/contract.ts"
import { MODE } from "../kernels/shape.ts"
import { BLOCK, BLOCKS } from "../store/layout.ts"
import type { SearchColumns, StoreShape } from "../store/memory.ts"
import { MAX_K, MAX_NPROBE, MAX_RERANK, MODES, type SearchOptions } from "./options.ts"

/** The choices of a search, before it meets the columns of a moment. */
export type SearchChoice = Pick<SearchPlan, "mode" | "keep" | "rerank" | "nprobe">

/** Applies defaults and bounds; throws `InvalidParameter`. */
export const choose = (options: SearchOptions, shape: StoreShape): SearchChoice => {
  const keep = wholeNumber("k", options.k ?? 10, 1, MAX_K)
  const mode = MODES.indexOf(oneOf("mode", options.mode ?? "flat", MODES))
  const hasVectors = shape.precision !== "none"
  if (mode === 0 && !hasVectors) {
    throw new InvalidParameter({ parameter: "mode", reason: "exact needs stored vectors: the precision is none" })
  }
  const usual = (MODES[mode] === "flat" || MODES[mode] === "ivf") && hasVectors ? Math.max(128, 10 * keep) : 0
  const rerank = mode === 0 ? 0 : wholeNumber("rerank", options.rerank ?? usual, 0, hasVectors ? MAX_RERANK : 0)
  const nprobe = options.nprobe === undefined ? 0 : wholeNumber("nprobe", options.nprobe, 1, MAX_NPROBE)
  return { mode, keep, rerank: rerank === 0 ? 0 : Math.max(rerank, keep), nprobe }
}

/** The plan over every row used so far. Without lists all codes are scanned. */
export const plan = (choice: SearchChoice, columns: SearchColumns, rows: number, cancel: number): SearchPlan => {
  const lists = columns.lists?.heads.length ?? 0
  const isListed = choice.mode === MODE.ivf && lists > 0
  return {
    ...columns.layout,
    ...choice,
    mode: choice.mode === MODE.ivf && !isListed ? MODE.flat : choice.mode,
    nprobe: isListed ? Math.min(choice.nprobe || Math.ceil(lists / 6), lists) : 0,
    fromBlock: 0,
    toBlock: Math.min(Math.ceil(rows / BLOCK), columns.rows.length * BLOCKS),
    cancel
  }
}

/**
 * The part of `plan` that one of `count` workers runs. A shard keeps every reranked candidate,
 * so that the merge selects from the same candidates as one scan would.
 */
export const shard = (plan: SearchPlan, index: number, count: number): SearchPlan => {
  const blocks = plan.toBlock - plan.fromBlock
  return {
    ...plan,
    keep: Math.max(plan.keep, plan.rerank),
    fromBlock: plan.fromBlock + Math.floor((blocks * index) / count),
    toBlock: plan.fromBlock + Math.floor((blocks * (index + 1)) / count)
  }
}
