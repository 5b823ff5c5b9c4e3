/** Memory of slots that no row is in any more, given back to the system. */
import { forEachSliced } from "../slice.ts"
import { BLOCK, BLOCKS, type Column, codeColumns, SLOTS } from "./layout.ts"
import { columnsOf } from "./memory.ts"
import type { Store } from "./store.ts"

/** Bytes that are given back between two looks at the clock. */
const STEP_BYTES = 1 << 22
/** What stays of a slot that may be used again. */
const KEPT = ["live", "generation"]

/**
 * Gives back what the slots beyond the highest row take, up to row `end`. No row may be written meanwhile; searches read
 * zeros there, of rows that are not live.
 */
export const releaseUnused = async (store: Store, end: number): Promise<void> => {
  const { shape, segments, columns, graph, directory } = store
  const first = Math.ceil(directory.rows / BLOCK) * BLOCK
  const parts: Array<Uint8Array> = []
  for (let segment = Math.floor(first / SLOTS); segment * SLOTS < end; segment++) {
    const from = Math.max(0, first - segment * SLOTS) / BLOCK
    const add = (bytes: Uint8Array, { name, offset, blockBytes }: Column) => {
      if (!KEPT.includes(name)) parts.push(bytes.subarray(offset + from * blockBytes, offset + BLOCKS * blockBytes))
    }
    const { rows, records } = segments[segment]!
    for (const column of columnsOf(shape)) add(rows, column)
    for (const column of codeColumns(shape.metric, shape.pq)) add(columns.codes[segment]!, column)
    add(new Uint8Array(records.buffer, records.byteOffset), { name: "records", offset: 0, blockBytes: 4 * BLOCK })
    for (const column of graph?.slotColumns ?? []) add(graph!.part(segment), column)
  }
  const steps = parts.flatMap((part) =>
    Array.from({ length: Math.ceil(part.length / STEP_BYTES) }, (_, i) =>
      part.subarray(i * STEP_BYTES, (i + 1) * STEP_BYTES)
    )
  )
  await forEachSliced(steps.length, undefined, (i) => store.kernels.releasePages(steps[i]!), 1)
}
