/** Vectors into slots and out of them. */
import { BATCH, makeCoder } from "./coder.ts"
import { type RowColumns, rowColumns } from "./columns.ts"
import type { Kernels, SegmentLayout } from "./contract.ts"
import { f16Values, toF16 } from "./f16.ts"
import { quantise } from "./int8.ts"
import { normalise } from "./norm.ts"
import { requireLayout } from "./refusal.ts"
import { beginWrite, endWrite } from "./seqlock.ts"
import { METRIC, PRECISION, SLOTS } from "./shape.ts"

const ZERO = 1
const NOT_A_NUMBER = 2
const INFINITE = 3
const BEYOND_LIMIT = 4

export const checkVectors: Kernels["checkVectors"] = (vectors, dimensions, limit) => {
  requireWhole(vectors, dimensions)
  for (let row = 0, from = 0; from < vectors.length; row++, from += dimensions) {
    const reason = flaw(vectors, from, dimensions, limit)
    if (reason !== 0) return row * 8 + reason
  }
  return -1
}

/** Why the vector at `from` cannot be stored, 0 when it can. */
const flaw = (vectors: Float32Array, from: number, dimensions: number, limit: number): number => {
  let largest = 0
  for (let i = from; i < from + dimensions; i++) {
    const magnitude = Math.abs(vectors[i]!)
    if (Number.isNaN(magnitude)) return NOT_A_NUMBER
    if (magnitude > largest) largest = magnitude
  }
  if (largest === Number.POSITIVE_INFINITY) return INFINITE
  if (largest > limit) return BEYOND_LIMIT
  return largest === 0 ? ZERO : 0
}

export const writeRows: Kernels["writeRows"] = (layout, vectors, slots, encoder, rows, codes) => {
  const { dimensions } = layout
  requireLayout(vectors.length === slots.length * dimensions, "there is not one vector a slot")
  requireSlots(slots)
  const columns = rowColumns(layout, rows)
  const coder = makeCoder(layout, encoder, codes)
  const batch = new Float32Array(BATCH * dimensions)
  for (let first = 0; first < slots.length; first += BATCH) {
    const count = Math.min(BATCH, slots.length - first)
    batch.set(vectors.subarray(first * dimensions, (first + count) * dimensions))
    if (layout.metric === METRIC.cosine) {
      for (let i = 0; i < count; i++) normalise(batch, i * dimensions, dimensions)
    }
    coder.encode(batch, count)
    for (let i = 0; i < count; i++) {
      const slot = slots[first + i]!
      beginWrite(columns.generations, slot)
      storeVector(layout, batch, i * dimensions, columns, slot)
      coder.store(i, slot)
      endWrite(columns.generations, slot)
    }
  }
}

export const encodeStored: Kernels["encodeStored"] = (layout, from, to, encoder, rows, codes) => {
  const { dimensions } = layout
  requireLayout(from <= to && to <= SLOTS, "the slots are not those of a segment")
  requireLayout(layout.precision !== PRECISION.none, "a store without vectors cannot be encoded again")
  const columns = rowColumns(layout, rows)
  const coder = makeCoder(layout, encoder, codes)
  const batch = new Float32Array(BATCH * dimensions)
  for (let first = from; first < to; first += BATCH) {
    const count = Math.min(BATCH, to - first)
    for (let i = 0; i < count; i++) loadVector(layout, columns, first + i, batch, i * dimensions)
    coder.encode(batch, count)
    for (let i = 0; i < count; i++) coder.store(i, first + i)
  }
}

export const readVectors: Kernels["readVectors"] = (layout, slots, rows, out) => {
  requireLayout(layout.precision !== PRECISION.none, "a store without vectors has none to read")
  requireLayout(out.length >= slots.length * layout.dimensions, "the output is shorter than the vectors")
  requireSlots(slots)
  const columns = rowColumns(layout, rows)
  for (let i = 0; i < slots.length; i++) loadVector(layout, columns, slots[i]!, out, i * layout.dimensions)
}

const storeVector = (layout: SegmentLayout, x: Float32Array, from: number, columns: RowColumns, slot: number): void => {
  const { dimensions, precision } = layout
  const to = slot * dimensions
  if (precision === PRECISION.f32) {
    for (let i = 0; i < dimensions; i++) columns.f32[to + i] = x[from + i]!
  } else if (precision === PRECISION.f16) {
    for (let i = 0; i < dimensions; i++) columns.f16[to + i] = toF16(x[from + i]!)
  } else if (precision === PRECISION.int8) {
    columns.scales[slot] = quantise(x, from, dimensions, columns.int8, to)
  }
}

/** Copies the stored vector of a slot to `out` from `to` on, as the f32 values it stands for. */
export const loadVector = (
  layout: SegmentLayout,
  columns: RowColumns,
  slot: number,
  out: Float32Array,
  to: number
): void => {
  const { dimensions, precision } = layout
  const from = slot * dimensions
  if (precision === PRECISION.f32) {
    for (let i = 0; i < dimensions; i++) out[to + i] = columns.f32[from + i]!
  } else if (precision === PRECISION.f16) {
    const values = f16Values()
    for (let i = 0; i < dimensions; i++) out[to + i] = values[columns.f16[from + i]!]!
  } else {
    const scale = columns.scales[slot]!
    for (let i = 0; i < dimensions; i++) out[to + i] = columns.int8[from + i]! * scale
  }
}

const requireWhole = (vectors: Float32Array, dimensions: number): void =>
  requireLayout(dimensions > 0 && vectors.length % dimensions === 0, "the vectors are not a whole number of rows")

const requireSlots = (slots: Uint32Array): void => {
  for (const slot of slots) requireLayout(slot < SLOTS, "a slot is not in the segment")
}
