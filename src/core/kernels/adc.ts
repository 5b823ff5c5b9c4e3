/**
 * Asymmetric distances: the estimated score of a float query and a product code is a sum of one table entry
 * a subspace. Entries are quantised to bytes with one step for all tables, so sums are integers of 16 bits.
 */
import type { SearchPlan, SegmentLayout } from "./contract.ts"
import { byteTable } from "./fastscan.ts"
import { matmul } from "./matmul.ts"
import { dot64, norm2 } from "./norm.ts"
import { centroidOf, codebookOf, codebookOffsets, rotatedVector, subspaceStart } from "./pq.ts"
import type { Estimator } from "./query.ts"
import { roundWithin } from "./rounding.ts"
import { METRIC } from "./shape.ts"

const { floor, fround, max, min } = Math

/** A sum `s` of one score a subspace stands for the score `s * scale + bias`. */
export interface ScoreTables {
  /** `subspaces x centroids`. */
  readonly scores: Float32Array
  readonly scale: number
  readonly bias: number
}

/** The score of the code of a slot by unrounded tables, summed in order of the subspaces. */
export const productScore = (
  layout: SegmentLayout,
  tables: ScoreTables | undefined,
  codes: Uint8Array,
  slot: number
): number => {
  if (tables === undefined) return Number.NaN
  const { centroids } = codebookOffsets(layout)
  let sum = 0
  for (let s = 0; s < layout.subspaces; s++) {
    sum = fround(sum + tables.scores[s * centroids + centroidOf(layout, codes, slot, s)]!)
  }
  return fround(fround(sum * tables.scale) + tables.bias)
}

/** Largest entry: a byte of 8 bits, or 63 of 4 bits so that four add up in a byte. All of a code fit 16 bits. */
const levelsOf = ({ subspaces, subspaceBits }: SearchPlan): number =>
  min(subspaceBits === 8 ? 255 : 63, floor(65_535 / subspaces))

/**
 * How much half the squared length of a decoded vector takes from its score, by metric. The score of `x` is
 *
 * - dot: `<x, q>`,
 * - l2: `2 (<x, q> - |x|^2 / 2) - |q|^2`, which is `-|x - q|^2`,
 * - cosine: `<x, q> + 3 (1 - |x|^2) / 8`. Stored vectors have length 1, and so the product alone prefers codes of long
 *   vectors, while `1 - |x - q|^2 / 2` prefers those of short ones: three quarters of the way from the one to the other
 *   was measured to rank best or nearly so, whatever the length of codes and the distribution of queries.
 */
export const LENGTH_WEIGHT = [0.75, 0, 1] as const

/**
 * Tables of a query. With the mean and the scale of a codebook taken out, `<x, q> - w |x|^2 / 2` is the sum of
 * `<c, u> - w |c|^2 / 2` over the centroids of a code for `u = q - w mean`, rotated as they are, and a term that all
 * codes share.
 */
export const productEstimator = (plan: SearchPlan, vector: Float32Array, parameters: Float32Array): Estimator => {
  const { dimensions, subspaces, factorScale, metric } = plan
  const { centroids } = codebookOffsets(plan)
  const isDot = metric === METRIC.dot
  const residual = residualOf(plan, vector, parameters)
  const scaled = codedQuery(plan, residual, parameters)
  const scores = scoreTables(plan, scaled, parameters)
  const least = new Float32Array(subspaces)
  let low = 0
  let range = 0
  for (let s = 0; s < subspaces; s++) {
    const table = scores.subarray(s * centroids, (s + 1) * centroids)
    // Comparisons leave out what is not a number, in whatever order they are made.
    least[s] = table.reduce((a, b) => (b < a ? b : a), Number.POSITIVE_INFINITY)
    const most = table.reduce((a, b) => (b > a ? b : a), Number.NEGATIVE_INFINITY)
    low = fround(low + least[s]!)
    range = max(range, fround(most - least[s]!))
  }
  const levels = levelsOf(plan)
  const inverseStep = range === 0 ? 0 : fround(levels / range)
  const entries = new Uint8Array(scores.length)
  for (let i = 0; i < entries.length; i++) {
    const level = fround(fround(scores[i]! - least[floor(i / centroids)]!) * inverseStep)
    entries[i] = max(0, roundWithin(level, levels))
  }
  const scale = isDot ? factorScale : (metric === METRIC.l2 ? 2 : 1) * factorScale * factorScale
  const bias = metric === METRIC.l2 ? -norm2(residual, 0, dimensions) : biasOf(plan, vector, parameters)
  return {
    table: plan.subspaceBits === 8 ? entries : byteTable(entries),
    step: fround(fround(range / levels) * scale),
    low: fround(fround(low * scale) + fround(bias)),
    bias: 0,
    projected: scaled,
    scores: { scores, scale, bias: fround(bias) }
  }
}

/** A query less what counts of the mean. */
export const residualOf = ({ metric }: SegmentLayout, vector: Float32Array, parameters: Float32Array): Float32Array =>
  vector.map((x, i) => x - fround(LENGTH_WEIGHT[metric]! * parameters[i]!))

/** The residual of a query as it is cut into subspaces. Where the length of codes counts it has their scale. */
export const codedQuery = (
  layout: SegmentLayout,
  residual: Float32Array,
  parameters: Float32Array,
  product = matmul
): Float32Array => {
  const inverse = layout.metric === METRIC.dot ? 1 : fround(1 / layout.factorScale)
  return rotatedVector(
    layout,
    residual.map((x) => x * inverse),
    parameters,
    product
  )
}

/** What the mean adds to the score of dot or cosine. */
const biasOf = ({ dimensions, metric }: SearchPlan, vector: Float32Array, parameters: Float32Array): number => {
  const ofMean = dot64(parameters, 0, vector, 0, dimensions)
  return metric === METRIC.dot
    ? ofMean
    : ofMean + (LENGTH_WEIGHT[METRIC.cosine] / 2) * (1 - norm2(parameters, 0, dimensions))
}

/** What each centroid adds to the score, `subspaces x centroids`, before the scale. */
const scoreTables = (plan: SearchPlan, query: Float32Array, parameters: Float32Array): Float32Array => {
  const { centroids, halves, rotation } = codebookOffsets(plan)
  const scores = new Float32Array(plan.subspaces * centroids)
  for (let s = 0; s < plan.subspaces; s++) {
    const part = query.subarray(subspaceStart(plan, s), subspaceStart(plan, s + 1))
    const table = scores.subarray(s * centroids, (s + 1) * centroids)
    matmul(part, codebookOf(plan, parameters, s), table, 1, part.length, centroids)
  }
  const half = parameters.subarray(halves, rotation)
  const weight = LENGTH_WEIGHT[plan.metric]!
  return scores.map((score, i) => score - fround(weight * half[i]!))
}
