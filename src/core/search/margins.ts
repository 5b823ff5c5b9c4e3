/**
 * How far below the best list the others may lie that a query visits. A margin, where a number of lists would be the
 * same for all: a query unlike what is stored lies between more lists than a stored vector does, and visits more
 * (Chen et al., "SPANN: highly-efficient billion-scale approximate nearest neighbor search", 2021, section 3.2.3).
 */
import { codedQuery, residualOf } from "../kernels/adc.ts"
import type { Kernels, SearchColumns, SegmentLayout } from "../kernels/contract.ts"
import { norm2 } from "../kernels/norm.ts"
import { CODE_BITS, METRIC } from "../kernels/shape.ts"

/**
 * For each of `counts`, the margins together by which queries (`n x dimensions`, of unit length for cosine) visit so many
 * lists. It compares each with every centroid: for workers.
 */
export const marginSums = (
  kernels: Kernels,
  { encoder, lists }: Pick<SearchColumns, "encoder" | "lists">,
  layout: SegmentLayout,
  queries: Float32Array,
  counts: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const { centroids, biases } = lists!
  const { dimensions, metric } = layout
  const ranks = new Float32Array(biases.length)
  const sums = counts.map(() => 0)
  for (let from = 0; from < queries.length; from += dimensions) {
    const coded = codedOf(kernels, layout, queries.subarray(from, from + dimensions), encoder)
    kernels.matmul(coded, centroids, ranks, 1, coded.length, biases.length)
    for (let list = 0; list < ranks.length; list++) ranks[list]! += biases[list]!
    ranks.sort()
    const length = metric === METRIC.dot ? Math.sqrt(norm2(coded, 0, coded.length)) : 1
    for (const [at, count] of counts.entries()) {
      if (length > 0) sums[at]! += (ranks.at(-1)! - ranks.at(-count)!) / length
    }
  }
  return sums
}

/** A query in the coordinates of the codes. */
const codedOf = (kernels: Kernels, layout: SegmentLayout, query: Float32Array, encoder: Float32Array): Float32Array => {
  if (layout.subspaces > 0) return codedQuery(layout, residualOf(layout, query, encoder), encoder, kernels.matmul)
  const { dimensions, metric } = layout
  const source = metric === METRIC.l2 ? query.map((x, i) => x - encoder[i]!) : query
  const coded = new Float32Array(CODE_BITS)
  kernels.matmul(source, encoder.subarray(dimensions), coded, 1, dimensions, CODE_BITS)
  return coded
}
