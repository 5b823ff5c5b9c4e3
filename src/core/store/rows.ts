/**
 * Rows as a thread finds and reads them: key to row, row to key, payload and vector.
 *
 * A hit is (row, generation). Every later fetch checks both, so a slot that was reused meanwhile
 * can never lend its payload to an older hit.
 */
import type { Kernels } from "../kernels/contract.ts"
import { type FieldValue, readFields } from "./fields.ts"
import { hashKey, type KeyedRows, lookUp } from "./keys.ts"
import { SLOTS } from "./layout.ts"
import { isLive, type SearchColumns, type Segment, type StoreShape } from "./memory.ts"
import { NAMESPACE_BYTES, NAMESPACE_MARK, type RecordReader } from "./records.ts"
import type { TagReader } from "./tags.ts"

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 1024
/** The namespace of rows that were written without one. */
export const NO_NAMESPACE = 0

/** What each thread knows of a store. */
export interface Rows {
  readonly kernels: Kernels
  readonly segments: ReadonlyArray<Segment>
  readonly shape: StoreShape
  readonly records: RecordReader
  readonly tags: TagReader
  readonly columns: SearchColumns
}

const encoder = new TextEncoder()
const scratch = new Uint8Array(NAMESPACE_BYTES + MAX_KEY_BYTES)
const prefix = new DataView(scratch.buffer)
const unprefixed = scratch.subarray(0, MAX_KEY_BYTES)
const afterPrefix = scratch.subarray(NAMESPACE_BYTES)

/** A key as bytes: valid until the next call on this thread. */
export interface EncodedKey {
  readonly bytes: Uint8Array
  readonly length: number
  readonly hash: number
  /** Dictionary code of the namespace, or `NO_NAMESPACE`. */
  readonly scope: number
}

/**
 * Encodes a key; undefined when it is empty, too long, or not well-formed UTF-16. In a namespace its code comes
 * first, after a byte that no UTF-8 has: the same key of two namespaces is two keys, and none can be made to look
 * like one of another.
 */
export const encodeKey = (key: string, scope: number = NO_NAMESPACE): EncodedKey | undefined => {
  const { read, written } = encoder.encodeInto(key, scope === NO_NAMESPACE ? unprefixed : afterPrefix)
  if (written === 0 || read !== key.length || !key.isWellFormed()) return undefined
  let length = written
  if (scope !== NO_NAMESPACE) {
    prefix.setUint8(0, NAMESPACE_MARK)
    prefix.setUint32(1, scope, true)
    length += NAMESPACE_BYTES
  }
  return { bytes: scratch, length, hash: hashKey(scratch, length), scope }
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

/** The namespace of a row. */
export const scopeOf = (rows: Pick<Rows, "segments">, row: number): number => segmentOf(rows, row).scope[row % SLOTS]!

/** The fields of a row that have a value; undefined in a store without fields. */
export const fieldsOf = (rows: Rows, row: number): Record<string, FieldValue> | undefined => {
  const { fields } = rows.shape
  return fields && readFields(fields, segmentOf(rows, row), row % SLOTS, rows.tags)
}
