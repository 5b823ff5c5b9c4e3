/**
 * What an image says of its collection beyond the numbers of the header: JSON, so that it can say more later. It is
 * read first, because fields decide where columns lie.
 */
import { type Calibration, isCalibration } from "../../calibration.ts"
import { FIELD_TYPES, type FieldType, type FieldTypes } from "../layout.ts"
import type { StoreShape } from "../memory.ts"
import type { Invalid } from "./invalid.ts"
import type { Extent } from "./ranges.ts"

/** Most bytes of a description. */
export const MAX_DESCRIPTION_BYTES = 1 << 20

export interface Description {
  readonly fields?: FieldTypes
  /** What searches of the saved codes and lists were measured to find. */
  readonly calibration?: Calibration
}

export const encodeDescription = ({ fields }: StoreShape, calibration: Calibration | undefined): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ fields, calibration }))

/** Reads a description whose checksum was right; it may still say anything. */
export const decodeDescription = (bytes: Uint8Array, { offset }: Extent, invalid: Invalid): Description => {
  const wrong = (reason: string) => invalid("description", offset, offset + bytes.length, reason)
  const { fields, calibration } = objectOf(parsed(bytes)) ?? {}
  if (calibration !== undefined && !isCalibration(calibration)) throw wrong("its calibration is none")
  const measured = calibration === undefined ? {} : { calibration }
  if (fields === undefined) return measured
  const types = objectOf(fields)
  if (types === undefined) throw wrong("its fields are no object")
  const known = Object.entries(types).map(([name, type]) => [name, fieldType(type, wrong)] as const)
  return { ...measured, fields: Object.fromEntries(known) }
}

const fieldType = (type: unknown, wrong: (reason: string) => Error): FieldType => {
  const known = FIELD_TYPES.find((name) => name === type)
  if (known === undefined) throw wrong(`there is no field type ${String(type)}`)
  return known
}

const parsed = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch (error) {
    return error
  }
}

const objectOf = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null && !(value instanceof Error)
    ? (value as Record<string, unknown>)
    : undefined
