/** What an exact search finds, and how much of it another one does. */
import { kernels } from "../src/core/native.ts"
import type { Dataset, Queries } from "./data.ts"
import { scanner } from "./scanning.ts"
import { blankEncoder, filledStore } from "./stores.ts"

/** The `depth` rows nearest to each query, best first. */
export const exactRows = (base: Float32Array, queries: Float32Array, dimensions: number, depth: number): Int32Array => {
  const vectors = { dimensions, rows: base.length / dimensions, base }
  const store = filledStore(kernels, vectors, "f32", blankEncoder(kernels, dimensions))
  const search = scanner(store, { mode: "exact", k: depth }, { count: queries.length / dimensions })
  return Int32Array.from(search(queries).rows)
}

/** Share of the true `k` nearest rows that `find` returns, over all queries. */
export const recall = (
  { dimensions }: Pick<Dataset, "dimensions">,
  queries: Queries,
  k: number,
  find: (query: Float32Array) => ArrayLike<number>
): number => {
  let found = 0
  for (let i = 0; i < queries.count; i++) {
    const rows = find(queries.vectors.slice(i * dimensions, (i + 1) * dimensions))
    const nearest = new Set(queries.truth.subarray(i * queries.depth, i * queries.depth + k))
    for (let j = 0; j < k; j++) if (nearest.has(rows[j]!)) found++
  }
  return found / (queries.count * k)
}
