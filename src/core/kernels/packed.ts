/** Whether what an image says of rows and keys stays inside its bounds, whoever wrote it. */
import { CAPACITY, HEADER_BYTES, KEY_AND_KIND, PAYLOAD_BYTES, RECORD_UNIT } from "./shape.ts"

/** Whether the record at an address lies inside packed records of a file, of which nothing has been trusted yet. */
export const recordFits = (packed: Uint32Array, address: number): boolean => {
  const word = address * (RECORD_UNIT / 4)
  if (word + HEADER_BYTES / 4 > packed.length) return false
  const capacity = packed[word + CAPACITY]! * RECORD_UNIT
  const used = HEADER_BYTES + (packed[word + KEY_AND_KIND]! & 0xffff) + packed[word + PAYLOAD_BYTES]!
  return used <= capacity && word * 4 + capacity <= packed.length * 4
}

/**
 * Looks at slots `[from, to)` of a segment of which the first `rows` are in use, and returns the first that is wrong, or
 * -1. One that is live is in use and has a record that fits into `packed`. Any other has none: a key may still name it.
 */
export const checkRows = (
  live: Int32Array,
  addresses: Uint32Array,
  packed: Uint32Array,
  rows: number,
  from: number,
  to: number
): number => {
  for (let slot = from; slot < to; slot++) {
    const address = addresses[slot]!
    const isLive = (live[slot >>> 5]! >>> (slot & 31)) & 1
    if (isLive ? slot >= rows || !recordFits(packed, address) : address !== 0) return slot
  }
  return -1
}

/** Keys in slots `[from, to)` of the index of `rows` rows; -1 when one names none of them. */
export const countKeys = (keys: Uint32Array, rows: number, from: number, to: number): number => {
  let count = 0
  for (let i = from; i < to; i++) {
    const row = keys[i]!
    if (row > rows) return -1
    if (row !== 0) count++
  }
  return count
}
