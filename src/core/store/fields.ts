/**
 * The fields of rows: one typed column each, in the rows buffer of a segment.
 *
 * Here a value is a number, as it is stored: dictionary codes for tags, 0 and 1 for booleans, and NaN where there
 * is none.
 */
import { beginWrite, endWrite } from "../kernels/seqlock.ts"
import { type FieldType, type FieldTypes, SLOTS } from "./layout.ts"
import type { TagReader } from "./tags.ts"

/** How a missing boolean is stored. */
export const NO_BOOLEAN = 255
/** How a missing tag is stored. */
export const NO_TAG = 0

/** A field of one row as callers see it; a timestamp is in milliseconds. */
export type FieldValue = string | number | boolean

/** One column over the slots of a segment. */
export interface FieldColumn {
  readonly type: FieldType
  readonly values: Float64Array | Uint32Array | Uint8Array
}

export const newFieldColumn = (type: FieldType, buffer: SharedArrayBuffer, offset: number): FieldColumn => {
  switch (type) {
    case "tag":
      return { type, values: new Uint32Array(buffer, offset, SLOTS) }
    case "boolean":
      return { type, values: new Uint8Array(buffer, offset, SLOTS) }
    default:
      return { type, values: new Float64Array(buffer, offset, SLOTS) }
  }
}

const missing = (type: FieldType): number => (type === "tag" ? NO_TAG : type === "boolean" ? NO_BOOLEAN : Number.NaN)

interface FieldedSegment {
  readonly generation: Uint16Array
  readonly fields: ReadonlyArray<FieldColumn>
}

/** Values of every field for a number of rows: those of field `f` are in `columns[f]`, NaN for none. */
export type FieldColumns = ReadonlyArray<Float64Array>

/** Writes row `i` of `columns` to a slot that is not live. */
export const writeFields = ({ fields }: FieldedSegment, slot: number, columns: FieldColumns, i: number): void => {
  for (let f = 0; f < fields.length; f++) {
    const { type, values } = fields[f]!
    const value = columns[f]![i]!
    values[slot] = Number.isNaN(value) ? missing(type) : value
  }
}

/**
 * Writes row 0 of `columns` to a live slot. Its generation moves, so that whoever read it meanwhile drops what it has
 * read: a filter that saw half of the change finds nothing by it.
 */
export const rewriteFields = (segment: FieldedSegment, slot: number, columns: FieldColumns): void => {
  beginWrite(segment.generation, slot)
  writeFields(segment, slot, columns, 0)
  endWrite(segment.generation, slot)
}

/** The fields of a slot that have a value. */
export const readFields = (
  types: FieldTypes,
  { fields }: Pick<FieldedSegment, "fields">,
  slot: number,
  tags: TagReader
): Record<string, FieldValue> => {
  const found: Record<string, FieldValue> = {}
  for (const [f, name] of Object.keys(types).entries()) {
    const { type, values } = fields[f]!
    const stored = values[slot]!
    const value = shownValue(type, stored, tags)
    if (value !== undefined) found[name] = value
  }
  return found
}

const shownValue = (type: FieldType, stored: number, tags: TagReader): FieldValue | undefined => {
  if (type === "tag") return stored === NO_TAG ? undefined : tags.text(stored)
  if (type === "boolean") return stored === NO_BOOLEAN ? undefined : stored === 1
  return Number.isNaN(stored) ? undefined : stored
}
