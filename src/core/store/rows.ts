/**
 * Rows as a thread finds and reads them: key to row, row to key, payload and vector.
 *
 * A hit is (row, generation). Every later fetch checks both, so a slot that was reused meanwhile
 * can never lend its payload to an older hit.
 */
import type { Kernels } from "../kernels/contract.ts"
import { hashKey, type KeyedRows, lookUp } from "./keys.ts"
import { SLOTS } from "./layout.ts"
import { isLive, type SearchColumns, type Segment } from "./memory.ts"
import type { RecordReader } from "./records.ts"

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024

/** What each thread knows of a store. */
export interface Rows {
  readonly kernels: Kernels
  readonly segments: ReadonlyArray<Segment>
  readonly records: RecordReader
  readonly columns: SearchColumns
}

const encoder = new TextEncoder()
const scratch = new Uint8Array(MAX_KEY_BYTES)

/** A key as bytes: valid until the next call on this thread. */
export interface EncodedKey {
  readonly bytes: Uint8Array
  readonly length: number
  readonly hash: number
}

/** Encodes a key; undefined when it is empty, too long, or not well-formed UTF-16. */
export const encodeKey = (key: string): EncodedKey | undefined => {
  const { read, written } = encoder.encodeInto(key, scratch)
  if (written === 0 || read !== key.length || !key.isWellFormed()) return undefined
  return { bytes: scratch, length: written, hash: hashKey(scratch, written) }
}

const segmentOf = (rows: Pick<Rows, "segments">, row: number): Segment => rows.segments[Math.floor(row / SLOTS)]!

/** The view of rows that the key index compares keys with. */
export const keyedRows = (rows: Pick<Rows, "segments" | "records">): KeyedRows => ({
  matches: (row, tag, key, length) => {
    // A reader can meet a key before the segment of its row: it is behind then, and looks again.
    const segment: Segment | undefined = segmentOf(rows, row)
    const slot = row % SLOTS
    return segment?.tag[slot] === tag && rows.records.keyEquals(segment.records[slot]!, key, length)
  },
  hash: (row) => rows.records.hash(segmentOf(rows, row).records[row % SLOTS]!)
})

export const rowOfKey = (
  rows: Pick<Rows, "segments" | "records">,
  tables: { readonly current: Uint32Array; readonly previous: Uint32Array | undefined },
  key: EncodedKey
): number => lookUp(tables.current, tables.previous, keyedRows(rows), key.hash, key.bytes, key.length)

/** Whether `row` is live and still the one a hit of this generation saw. */
export const isCurrent = (rows: Pick<Rows, "segments">, row: number, generation: number): boolean => {
  const segment = segmentOf(rows, row)
  return isLive(segment, row % SLOTS) && Atomics.load(segment.generation, row % SLOTS) === generation
}

export const addressOf = (rows: Pick<Rows, "segments">, row: number): number =>
  segmentOf(rows, row).records[row % SLOTS]!

/** The stored vector of a row as f32, the values that scores are computed from; undefined when none is stored. */
export const vectorOf = (rows: Rows, row: number): Float32Array | undefined => {
  const { layout } = rows.columns
  if (layout.vectorsOffset === 0) return undefined
  const vector = new Float32Array(layout.dimensions)
  rows.kernels.readVectors(layout, Uint32Array.of(row % SLOTS), segmentOf(rows, row).rows, vector)
  return vector
}
