/** The records of the rows that are live at one moment, one after another in order of row: what an image holds of them. */
import { setImmediate } from "node:timers/promises"
import { forEachSliced } from "../../slice.ts"
import { BLOCK, SLOTS } from "../layout.ts"
import { isLive } from "../memory.ts"
import { RECORD_UNIT } from "../records.ts"
import type { Store } from "../store.ts"

/** Bytes of records that are copied in well under a millisecond, however small the records. */
const COPIED_BYTES = 1 << 16
/** The record of a row that is not live: no record starts in the last unit. */
const NONE = 2 ** 32 - 1

interface PackedRecords {
  /** New address of each row's record, for whole blocks of rows; 0 for rows that are not live. */
  readonly addresses: Uint32Array
  readonly bytes: number
  /** Fills a block with the next packed bytes. */
  readonly copyNext: (block: Uint8Array) => Promise<Uint8Array>
}

/**
 * Lays the records out while nobody writes to the store. They can be copied later, for as long as a claim is held that
 * was made before.
 */
export const packRecords = async (store: Store): Promise<PackedRecords> => {
  const blocks = Math.ceil(store.directory.rows / BLOCK)
  const sources = new Uint32Array(blocks * BLOCK)
  const addresses = new Uint32Array(blocks * BLOCK)
  let units = 0
  await forEachSliced(blocks, undefined, (block) => {
    for (let row = block * BLOCK; row < (block + 1) * BLOCK; row++) {
      sources[row] = liveRecord(store, row)
      if (sources[row] === NONE) continue
      addresses[row] = units
      units += store.records.capacity(sources[row]!)
    }
  })
  let row = 0
  let copied = 0
  const copy = (target: Uint8Array): void => {
    for (let at = 0; at < target.length; ) {
      const address = sources[row]!
      if (address === NONE) {
        row++
        continue
      }
      const rest = store.records.whole(address).subarray(copied)
      const part = rest.subarray(0, target.length - at)
      target.set(part, at)
      at += part.length
      copied += part.length
      if (part.length === rest.length) {
        row++
        copied = 0
      }
    }
  }
  const copyNext = async (block: Uint8Array): Promise<Uint8Array> => {
    for (let at = 0; at < block.length; at += COPIED_BYTES) {
      copy(block.subarray(at, at + COPIED_BYTES))
      await setImmediate()
    }
    return block
  }
  return { addresses, bytes: units * RECORD_UNIT, copyNext }
}

/** Address of the record of a live row, or `NONE`. */
const liveRecord = ({ segments }: Store, row: number): number => {
  const segment = segments[Math.floor(row / SLOTS)]!
  return isLive(segment, row % SLOTS) ? segment.records[row % SLOTS]! : NONE
}
