/**
 * Whether what an image holds can be used as it is. Checksums tell that a file is as it was
 * written; this keeps keys, records and rows inside their bounds whoever wrote it.
 */
import { lowestBit } from "../../kernels/bits.ts"
import type { Kernels } from "../../kernels/contract.ts"
import { forEachSliced } from "../../slice.ts"
import { BLOCK, SLOTS } from "../layout.ts"
import type { Segment } from "../memory.ts"
import { type ImageHeader, invalidField } from "./header.ts"
import type { Invalid } from "./invalid.ts"
import type { Section } from "./ranges.ts"

/** Rows, or slots of the key index, that are checked at once: some 50 us. */
const STEP = 8192

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
  kernels: Pick<Kernels, "checkRows" | "countKeys">,
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
    const first = Math.floor((step * STEP) / SLOTS) * SLOTS
    const { live, records: addresses, scope } = segments[first / SLOTS]!
    const [from, to] = [step * STEP - first, Math.min(end, (step + 1) * STEP) - first]
    const wrong = kernels.checkRows(live, addresses, records, Math.min(SLOTS, rows - first), from, to)
    if (wrong >= 0) {
      throw outside("segments", `row ${first + wrong} of ${rows} has no record, or is live beyond the last`)
    }
    pushFree(live, first, from, Math.min(to, rows - first), free)
    isNamespaced ||= hasScope(scope, from, to)
  })
  if (rows - free.length !== header.live) {
    throw invalidField(invalid, "live", `${rows - free.length} rows are live instead of ${header.live}`)
  }
  let count = 0
  await forEachSliced(Math.ceil(keys.length / STEP), undefined, (step) => {
    const found = kernels.countKeys(keys, rows, step * STEP, Math.min(keys.length, (step + 1) * STEP))
    if (found < 0) throw outside("keys", `one names a row beyond ${rows}`)
    count += found
  })
  if (count !== header.keyCount) throw invalidField(invalid, "keyCount", `there are ${count} keys`)
  return { free: Uint32Array.from(free), isNamespaced }
}

/** Adds the rows of slots `[from, to)` that are not live. */
const pushFree = (live: Int32Array, first: number, from: number, to: number, free: Array<number>): void => {
  for (let word = from >>> 5; word << 5 < to; word++) {
    for (let dead = ~live[word]!; dead !== 0; dead &= dead - 1) {
      const slot = (word << 5) + lowestBit(dead)
      if (slot < to) free.push(first + slot)
    }
  }
}

/** Whether one of slots `[from, to)` is or was of a namespace. */
const hasScope = (scope: Uint32Array, from: number, to: number): boolean => {
  let codes = 0
  for (let slot = from; slot < to; slot++) codes |= scope[slot]!
  return codes !== 0
}
