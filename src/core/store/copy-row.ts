/** A row copied from slot to slot: all that is stored of it but whether it is live, and its generation. */
import { beginWrite, endWrite } from "../kernels/seqlock.ts"
import { BLOCK, type Column, codeColumns } from "./layout.ts"
import { columnsOf, type Segment, type StoreShape } from "./memory.ts"

/** A slot, with the buffers that it lies in. */
export interface Place {
  readonly segment: Segment
  readonly codes: Uint8Array
  readonly slot: number
}

/** Copies a row into a slot that is not live. */
export const copyRow = (shape: StoreShape, from: Place, to: Place): void => {
  const { generation } = to.segment
  beginWrite(generation, to.slot)
  copyColumns(columnsOf(shape), from.segment.rows, from.slot, to.segment.rows, to.slot)
  copyColumns(codeColumns(shape.metric, shape.pq), from.codes, from.slot, to.codes, to.slot)
  to.segment.records[to.slot] = from.segment.records[from.slot]!
  endWrite(generation, to.slot)
}

const copyColumns = (
  columns: ReadonlyArray<Column>,
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number
): void => {
  for (const { name, offset, blockBytes } of columns) {
    if (name === "live" || name === "generation") continue
    const width = blockBytes / BLOCK
    if (name === "codes") {
      const read = offset + Math.floor(from / BLOCK) * blockBytes + (from % BLOCK)
      const write = offset + Math.floor(to / BLOCK) * blockBytes + (to % BLOCK)
      for (let at = 0; at < blockBytes; at += BLOCK) target[write + at] = source[read + at]!
    } else {
      target.set(source.subarray(offset + from * width, offset + (from + 1) * width), offset + to * width)
    }
  }
}
