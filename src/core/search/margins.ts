/**
 * How far below the best list the others may lie that a query visits. A margin, where a number of lists would be the
 * same for all: a query unlike what is stored lies between more lists than a stored vector does, and visits more
 * (Chen et al., "SPANN: highly-efficient billion-scale approximate nearest neighbor search", 2021, section 3.2.3).
 */
import { codedQuery, residualOf } from "../kernels/adc.ts"
import type { Kernels, ListColumns, SegmentLayout } from "../kernels/contract.ts"
import { norm2 } from "../kernels/norm.ts"
import { CODE_BITS, METRIC } from "../kernels/shape.ts"
import { forEachSliced } from "../slice.ts"
import type { Searchable } from "../store/searchable.ts"

/** For each of `counts`, the mean margin by which queries (`n x dimensions`, of unit length for cosine) visit so many lists. */
export const marginsFor = async (
  { kernels, columns, shape: { dimensions } }: Searchable,
  { centroids, biases }: ListColumns,
  queries: Float32Array,
  counts: ReadonlyArray<number>
): Promise<ReadonlyArray<number>> => {
  const { layout, encoder } = columns
  const ranks = new Float32Array(biases.length)
  const sums = counts.map(() => 0)
  const total = queries.length / dimensions
  const rank = (i: number) => {
    const query = queries.subarray(i * dimensions, (i + 1) * dimensions)
    const coded =
      layout.subspaces > 0
        ? codedQuery(layout, residualOf(layout, query, encoder), encoder, kernels.matmul)
        : projected(kernels, layout, query, encoder)
    kernels.matmul(coded, centroids, ranks, 1, coded.length, biases.length)
    for (let list = 0; list < ranks.length; list++) ranks[list]! += biases[list]!
    ranks.sort()
    const length = layout.metric === METRIC.dot ? Math.sqrt(norm2(coded, 0, coded.length)) : 1
    for (const [at, count] of counts.entries()) {
      if (length > 0) sums[at]! += (ranks.at(-1)! - ranks.at(-count)!) / length
    }
  }
  await forEachSliced(total, undefined, rank, 1)
  return sums.map((sum) => sum / total)
}

/** A query in the coordinates of signs. */
const projected = (
  kernels: Kernels,
  { dimensions, metric }: SegmentLayout,
  query: Float32Array,
  encoder: Float32Array
): Float32Array => {
  const source = metric === METRIC.l2 ? query.map((x, i) => x - encoder[i]!) : query
  const coded = new Float32Array(CODE_BITS)
  kernels.matmul(source, encoder.subarray(dimensions), coded, 1, dimensions, CODE_BITS)
  return coded
}
