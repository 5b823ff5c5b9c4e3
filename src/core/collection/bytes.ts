/** Memory that an entry takes beside its key and payload. */
import { LINKS_BYTES } from "../kernels/shape.ts"
import { BLOCK, codeColumns, SLOTS } from "../store/layout.ts"
import { columnsOf, type StoreShape } from "../store/memory.ts"

/** Share of a word of the key index, at the load it is kept at, and the address of a record. */
const KEY_AND_ADDRESS_BYTES = 4 / 0.8 + 4

const known = new WeakMap<StoreShape, number>()

/** Bytes of the columns of one entry, its share of the key index and the address of its record. */
export const bytesAnEntry = (shape: StoreShape): number => {
  const before = known.get(shape)
  if (before !== undefined) return before
  const columns = [...columnsOf(shape), ...codeColumns(shape.metric, shape.pq)]
  const bytes = columns.reduce((sum, { blockBytes }) => sum + blockBytes / BLOCK, KEY_AND_ADDRESS_BYTES)
  known.set(shape, bytes)
  return bytes
}

/** Bytes of one entry in inverted lists: a copy of its code, its row, and its share of what links blocks. */
export const bytesListed = ({ metric, pq }: StoreShape): number =>
  codeColumns(metric, pq).reduce((sum, { blockBytes }) => sum + blockBytes / BLOCK, LINKS_BYTES / SLOTS)
