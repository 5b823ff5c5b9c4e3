/** Vectors into slots: the one path of every write, in place and in the pool. */
import type { Kernels } from "../kernels/contract.ts"
import { assignRows } from "./assign.ts"
import { SLOTS } from "./layout.ts"
import type { SearchColumns } from "./memory.ts"

/**
 * Writes vector `i` of `vectors` to `rows[i]`, one native call for each run of rows in a segment, and finds the list of
 * each row where there are lists.
 */
export const writeVectors = (
  kernels: Kernels,
  columns: SearchColumns,
  rows: Uint32Array,
  vectors: Float32Array
): Uint32Array | undefined => {
  const { layout, encoder } = columns
  const slots = rows.map((row) => row % SLOTS)
  for (let from = 0; from < rows.length; ) {
    const segment = Math.floor(rows[from]! / SLOTS)
    let to = from + 1
    while (to < rows.length && Math.floor(rows[to]! / SLOTS) === segment) to++
    const part = vectors.subarray(from * layout.dimensions, to * layout.dimensions)
    kernels.writeRows(layout, part, slots.subarray(from, to), encoder, columns.rows[segment]!, columns.codes[segment]!)
    from = to
  }
  return columns.centroids && assignRows(kernels, columns, columns.centroids, rows)
}
