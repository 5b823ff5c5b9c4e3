/**
 * Whether what an image holds can be used as it is. Checksums tell that a file is as it was
 * written; this keeps keys, records and rows inside their bounds whoever wrote it.
 */
import { forEachSliced } from "../../slice.ts"
import { BLOCK, SLOTS } from "../layout.ts"
import type { Segment } from "../memory.ts"
import { recordFits } from "../records.ts"
import { type ImageHeader, invalidField } from "./header.ts"
import type { Invalid } from "./invalid.ts"
import type { Section } from "./ranges.ts"

/** Rows, or slots of the key index, that are checked between two looks at the clock: some 50 us. */
const STEP = 4096

interface ImageContents {
  readonly segments: ReadonlyArray<Segment>
  readonly keys: Uint32Array
  /** Packed records. */
  readonly records: Uint32Array
}

interface CheckedContents {
  /** Rows that are not live. */
  readonly free: Uint32Array
  /** Whether a row lies, or lay, in a namespace. */
  readonly isNamespaced: boolean
}

/** Checks what was read. */
export const checkContents = async (
  { segments, keys, records }: ImageContents,
  header: ImageHeader,
  invalid: Invalid
): Promise<CheckedContents> => {
  const outside = (section: Section, reason: string) => {
    const offset = header[`${section}Offset`]
    return invalid(section, offset, offset + header[`${section}Bytes`], reason)
  }
  const { rows } = header
  const free: Array<number> = []
  let isNamespaced = false
  // The last block may be used in part: what lies beyond the last row must be as it was made.
  const end = Math.ceil(rows / BLOCK) * BLOCK
  await forEachSliced(Math.ceil(end / STEP), undefined, (step) => {
    const segment = segments[Math.floor((step * STEP) / SLOTS)]!
    const stop = Math.min(end, (step + 1) * STEP)
    const wrong = checkRows(segment, step * STEP, stop, rows, records, free)
    isNamespaced ||= segment.scope.subarray((step * STEP) % SLOTS, ((stop - 1) % SLOTS) + 1).some((code) => code !== 0)
    if (wrong >= 0) throw outside("segments", `row ${wrong} of ${rows} has no record, or is live beyond the last`)
  })
  if (rows - free.length !== header.live) {
    throw invalidField(invalid, "live", `${rows - free.length} rows are live instead of ${header.live}`)
  }
  let count = 0
  await forEachSliced(Math.ceil(keys.length / STEP), undefined, (step) => {
    const found = countKeys(keys, step * STEP, Math.min(keys.length, (step + 1) * STEP), rows)
    if (found < 0) throw outside("keys", `one names a row beyond ${rows}`)
    count += found
  })
  if (count !== header.keyCount) throw invalidField(invalid, "keyCount", `there are ${count} keys`)
  return { free: Uint32Array.from(free), isNamespaced }
}

/** Checks rows `[from, to)` of one segment, of `rows` in use: the first that is wrong, or -1. */
const checkRows = (
  segment: Segment,
  from: number,
  to: number,
  rows: number,
  records: Uint32Array,
  free: Array<number>
): number => {
  const { live, records: addresses } = segment
  for (let row = from; row < to; row++) {
    const slot = row % SLOTS
    const address = addresses[slot]!
    if ((live[slot >>> 5]! >>> (slot & 31)) & 1) {
      if (row >= rows || !recordFits(records, address)) return row
    } else {
      // A key may still name the row: its comparison must stay inside the records.
      if (address !== 0) return row
      if (row < rows) free.push(row)
    }
  }
  return -1
}

/** Keys in slots `[from, to)` of the index; -1 when one names no row. */
const countKeys = (keys: Uint32Array, from: number, to: number, rows: number): number => {
  let count = 0
  for (let i = from; i < to; i++) {
    const slot = keys[i]!
    if (slot > rows) return -1
    if (slot !== 0) count++
  }
  return count
}
