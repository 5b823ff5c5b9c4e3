/** The live records of a store, one after another in order of row: what an image holds of them. */
import { forEachSliced } from "../../slice.ts"
import { BLOCK, SLOTS } from "../layout.ts"
import { isLive } from "../memory.ts"
import { RECORD_UNIT } from "../records.ts"
import type { Store } from "../store.ts"

interface PackedRecords {
  /** New address of each row's record, for whole blocks of rows; 0 for rows that are not live. */
  readonly addresses: Uint32Array
  readonly bytes: number
  /** Copies the next `target.length` packed bytes. */
  copyNext(target: Uint8Array): void
}

/** Lays the records out; the store must not be written from now on. */
export const packRecords = async (store: Store): Promise<PackedRecords> => {
  const blocks = Math.ceil(store.directory.rows / BLOCK)
  const addresses = new Uint32Array(blocks * BLOCK)
  let units = 0
  await forEachSliced(blocks, undefined, (block) => {
    for (let row = block * BLOCK; row < (block + 1) * BLOCK; row++) {
      const address = liveRecord(store, row)
      if (address < 0) continue
      addresses[row] = units
      units += store.records.capacity(address)
    }
  })
  let row = 0
  let copied = 0
  const copyNext = (target: Uint8Array): void => {
    for (let at = 0; at < target.length; ) {
      const address = liveRecord(store, row)
      if (address < 0) {
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
  return { addresses, bytes: units * RECORD_UNIT, copyNext }
}

/** Address of the record of a live row, or -1. */
const liveRecord = ({ segments }: Store, row: number): number => {
  const segment = segments[Math.floor(row / SLOTS)]!
  return isLive(segment, row % SLOTS) ? segment.records[row % SLOTS]! : -1
}
