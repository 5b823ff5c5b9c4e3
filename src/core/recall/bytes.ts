/** Memory that an item takes beside its key and payload. */
import { BLOCK, codeColumns } from "../store/layout.ts"
import { columnsOf, type StoreShape } from "../store/memory.ts"

/** Share of a word of the key index, at the load it is kept at, and the address of a record. */
const KEY_AND_ADDRESS_BYTES = 4 / 0.8 + 4
/** When it was used last, f64. */
const ORDER_BYTES = 8

/** Bytes of the columns of one item and its shares of what surrounds them, its record apart. */
export const bytesAnItem = (shape: StoreShape): number =>
  [...columnsOf(shape), ...codeColumns(shape.metric, shape.pq)].reduce(
    (sum, { blockBytes }) => sum + blockBytes / BLOCK,
    KEY_AND_ADDRESS_BYTES + ORDER_BYTES
  )
