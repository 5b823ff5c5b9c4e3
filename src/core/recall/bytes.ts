/** Memory that an item takes beside its key and payload. */
import { bytesAnEntry } from "../collection/bytes.ts"
import type { StoreShape } from "../store/memory.ts"

/** When it was used last, f64. */
const ORDER_BYTES = 8

/** Bytes of the columns of one item and its shares of what surrounds them, its record apart. */
export const bytesAnItem = (shape: StoreShape): number => bytesAnEntry(shape) + ORDER_BYTES
