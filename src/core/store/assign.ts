/** The lists that rows belong to, by their codes. */
import type { Centroids } from "../index/ivf.ts"
import type { Kernels } from "../kernels/contract.ts"
import { SLOTS } from "./layout.ts"
import type { SearchColumns } from "./memory.ts"

/** The list of each of `rows`, whose codes are written; one native call for each run of rows in a segment. */
export const assignRows = (
  kernels: Pick<Kernels, "assignLists">,
  { layout, encoder, codes }: Pick<SearchColumns, "layout" | "encoder" | "codes">,
  { columns, halfNorms }: Centroids,
  rows: Uint32Array
): Uint32Array => {
  const lists = new Uint32Array(rows.length)
  const slots = rows.map((row) => row % SLOTS)
  for (let from = 0; from < rows.length; ) {
    const segment = Math.floor(rows[from]! / SLOTS)
    let to = from + 1
    while (to < rows.length && Math.floor(rows[to]! / SLOTS) === segment) to++
    const found = lists.subarray(from, to)
    kernels.assignLists(layout, slots.subarray(from, to), encoder, codes[segment]!, columns, halfNorms, found)
    from = to
  }
  return lists
}
