/** Codes to estimated scores, a block of 64 slots at a time. */
import type { CodeColumns } from "./columns.ts"
import type { SearchPlan } from "./contract.ts"
import { f16Values } from "./f16.ts"
import { sumBlock } from "./fastscan.ts"
import { codeBytes } from "./pq.ts"
import type { Estimator } from "./query.ts"
import { BLOCK, METRIC, MODE } from "./shape.ts"

const { fround } = Math

const sums = new Uint16Array(BLOCK)
const estimates = new Float32Array(BLOCK)

/** Estimated scores of the slots of a block, live or not; overwritten by the next call. */
export const estimateBlock = (
  plan: SearchPlan,
  columns: CodeColumns,
  block: number,
  estimator: Estimator
): Float32Array => {
  const { step, low, bias } = estimator
  sumBlock(estimator.table, columns.codes, block * BLOCK * codeBytes(plan), sums)
  if (plan.mode === MODE.binary || plan.subspaces > 0) {
    for (let lane = 0; lane < BLOCK; lane++) estimates[lane] = fround(sums[lane]! * step) + low
    return estimates
  }
  const values = f16Values()
  const first = block * BLOCK
  for (let lane = 0; lane < BLOCK; lane++) {
    const factor = values[columns.factors[first + lane]!]!
    estimates[lane] = fround(factor * fround(fround(sums[lane]! * step) + low)) + bias
  }
  if (plan.metric !== METRIC.l2) return estimates
  const scale = fround(plan.factorScale * plan.factorScale)
  for (let lane = 0; lane < BLOCK; lane++) {
    estimates[lane] = estimates[lane]! - fround(values[columns.norms[first + lane]!]! * scale)
  }
  return estimates
}
