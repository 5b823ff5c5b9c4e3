/** The columns of one segment as typed arrays. */
import type { SegmentLayout } from "./contract.ts"
import { codeBytes } from "./pq.ts"
import { requireLayout } from "./refusal.ts"
import { BLOCK, BLOCKS, CODE_BLOCK_BYTES, FACTORS_OFFSET, METRIC, NORMS_OFFSET, PRECISION, SLOTS } from "./shape.ts"

export interface RowColumns {
  /** Two halves of a live word a block. */
  readonly live: Int32Array
  readonly generations: Uint16Array
  /** Empty but for int8. */
  readonly scales: Float32Array
  /** The vectors; empty but for f32. */
  readonly f32: Float32Array
  /** The vectors; empty but for f16. */
  readonly f16: Uint16Array
  /** The vectors; empty but for int8. */
  readonly int8: Int8Array
}

export interface CodeColumns {
  readonly codes: Uint8Array
  /** Bytes of the codes of a block. */
  readonly blockBytes: number
  /** f16 a slot; empty but for signs. */
  readonly factors: Uint16Array
  /** f16 a slot; empty but for l2. */
  readonly norms: Uint16Array
}

/** Views of `rows`; refuses a buffer that the columns do not fit in. */
export const rowColumns = (layout: SegmentLayout, rows: Uint8Array): RowColumns => {
  const { buffer, byteOffset } = rows
  const column = (offset: number, elementBytes: number, elements: number) => {
    requireLayout(offset + elementBytes * elements <= rows.length, "the rows buffer is shorter than its columns")
    requireLayout((byteOffset + offset) % elementBytes === 0, "a column is not aligned to its elements")
    return [buffer, byteOffset + offset, elements] as const
  }
  const { dimensions, precision } = layout
  const vectors = (held: number) => (precision === held ? SLOTS * dimensions : 0)
  return {
    live: new Int32Array(...column(layout.liveOffset, 4, 2 * BLOCKS)),
    generations: new Uint16Array(...column(layout.generationOffset, 2, SLOTS)),
    scales: new Float32Array(...column(layout.scalesOffset, 4, precision === PRECISION.int8 ? SLOTS : 0)),
    f32: new Float32Array(...column(layout.vectorsOffset, 4, vectors(PRECISION.f32))),
    f16: new Uint16Array(...column(layout.vectorsOffset, 2, vectors(PRECISION.f16))),
    int8: new Int8Array(...column(layout.vectorsOffset, 1, vectors(PRECISION.int8)))
  }
}

/** Views of `codes`; refuses a buffer that the columns do not fit in. */
export const codeColumns = (layout: SegmentLayout, codes: Uint8Array): CodeColumns => {
  if (layout.subspaces > 0) {
    requireLayout(codeBytes(layout) * SLOTS <= codes.length, "the codes buffer is shorter than its column")
    return { codes, blockBytes: BLOCK * codeBytes(layout), factors: NO_HALVES, norms: NO_HALVES }
  }
  const { buffer, byteOffset } = codes
  const halves = (offset: number, elements: number) => {
    requireLayout(offset + 2 * elements <= codes.length, "the codes buffer is shorter than its columns")
    requireLayout((byteOffset + offset) % 2 === 0, "factors are not aligned")
    return new Uint16Array(buffer, byteOffset + offset, elements)
  }
  return {
    codes,
    blockBytes: CODE_BLOCK_BYTES,
    factors: halves(FACTORS_OFFSET, SLOTS),
    norms: layout.metric === METRIC.l2 ? halves(NORMS_OFFSET, SLOTS) : NO_HALVES
  }
}

const NO_HALVES = new Uint16Array(0)
