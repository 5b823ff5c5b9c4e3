/**
 * How far below the best list the others may lie that a query visits. A margin, where a number of lists would be the
 * same for all: a query unlike what is stored lies between more lists than a stored vector does, and visits more
 * (Chen et al., "SPANN: highly-efficient billion-scale approximate nearest neighbor search", 2021, section 3.2.3).
 */
import type { ListColumns } from "../kernels/contract.ts"
import { norm2 } from "../kernels/norm.ts"
import { CODE_BITS } from "../kernels/shape.ts"
import { forEachSliced } from "../slice.ts"
import type { Searchable } from "../store/searchable.ts"

/** For each of `counts`, the mean margin by which queries (`n x dimensions`, of unit length for cosine) visit so many lists. */
export const marginsFor = async (
  { kernels, columns, shape: { dimensions, metric } }: Searchable,
  { centroids, biases }: ListColumns,
  queries: Float32Array,
  counts: ReadonlyArray<number>
): Promise<ReadonlyArray<number>> => {
  const mean = columns.encoder.subarray(0, dimensions)
  const projection = columns.encoder.subarray(dimensions)
  const query = new Float32Array(dimensions)
  const projected = new Float32Array(CODE_BITS)
  const ranks = new Float32Array(biases.length)
  const sums = counts.map(() => 0)
  const total = queries.length / dimensions
  const rank = (i: number) => {
    query.set(queries.subarray(i * dimensions, (i + 1) * dimensions))
    if (metric === "l2") for (let j = 0; j < dimensions; j++) query[j]! -= mean[j]!
    kernels.matmul(query, projection, projected, 1, dimensions, CODE_BITS)
    kernels.matmul(projected, centroids, ranks, 1, CODE_BITS, biases.length)
    for (let list = 0; list < ranks.length; list++) ranks[list]! += biases[list]!
    ranks.sort()
    const length = metric === "dot" ? Math.sqrt(norm2(projected, 0, CODE_BITS)) : 1
    for (const [at, count] of counts.entries()) {
      if (length > 0) sums[at]! += (ranks.at(-1)! - ranks.at(-count)!) / length
    }
  }
  await forEachSliced(total, undefined, rank, 1)
  return sums.map((sum) => sum / total)
}
