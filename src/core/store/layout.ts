/**
 * The byte layout: the single source of columns and strides; magic and version are in `image/header.ts`.
 *
 * A segment is two shared buffers. `rows` holds what stays for the life of a slot; `codes`
 * holds codes and what belongs to them, apart because training replaces all of it at once. Each starts
 * with a pad that makes every column 64-byte aligned in memory; files carry no pad.
 */
import type { SegmentLayout } from "../kernels/contract.ts"
import { codebookOffsets, codeComponents } from "../kernels/pq.ts"
import {
  BLOCK,
  BLOCKS,
  CODE_BITS,
  CODE_BLOCK_BYTES,
  CODE_BYTES,
  FACTORS_OFFSET,
  LISTED_OFFSET,
  METRIC,
  NEXT_OFFSET,
  NORMS_OFFSET,
  PRECISION,
  SLOTS
} from "../kernels/shape.ts"

export { BLOCK, BLOCKS, CODE_BITS, CODE_BLOCK_BYTES, CODE_BYTES, FACTORS_OFFSET, NORMS_OFFSET, SLOTS }

/** Largest number of components of a vector. */
export const MAX_DIMENSIONS = 8192
/** Every column starts on a multiple of this, in memory. */
export const ALIGNMENT = 64
/** The usual size of a huge page, in bytes. */
export const HUGE_PAGE = 2 ** 21

export const METRICS = ["cosine", "dot", "l2"] as const
export const PRECISIONS = ["f32", "f16", "int8", "none"] as const
/** How near is measured; scores are always higher for nearer. */
export type Metric = (typeof METRICS)[number]
/** How vectors are kept: 4d, 2d, d + 4 or 0 bytes a row. */
export type Precision = (typeof PRECISIONS)[number]

/** What a field holds, and what its column is made of. */
export const FIELD_TYPES = ["tag", "number", "boolean", "timestamp"] as const
/**
 * - `tag`: a text, kept as a u32 dictionary code; 0 for none.
 * - `number`: an f64; NaN for none.
 * - `boolean`: a u8, 0 or 1; 255 for none.
 * - `timestamp`: milliseconds since 1970 as an f64; NaN for none.
 */
export type FieldType = (typeof FIELD_TYPES)[number]
/** The fields of a store by name, in the order of their columns. */
export type FieldTypes = Readonly<Record<string, FieldType>>

const FIELD_BYTES: Readonly<Record<FieldType, number>> = { tag: 4, number: 8, boolean: 1, timestamp: 8 }

/** Name of the column of a field: those of the store's own have no dot. */
export const fieldColumn = (field: string): string => `fields.${field}`

/** What vectors may be rotated by before they are cut into subspaces. */
export const ROTATIONS = ["none", "auto", "pca", "opq"] as const
/**
 * What vectors are rotated by before they are cut into subspaces, so that each has its share of the variance.
 *
 * - `none`: they are cut as they are.
 * - `pca`: principal components, dealt out so that the variances of all subspaces have about the same product; those
 *   with less variance than codes of this size can tell are left out.
 * - `opq`: the same, then turned until codes lose least (optimised product quantisation, Ge et al., CVPR 2013).
 * - `auto`: `pca` where it loses less than `none` of rows held out of the training.
 */
export type Rotation = (typeof ROTATIONS)[number]

/** Product codes: a vector in `m` subspaces, each told by the number of a centroid of `bits` bits. */
export interface PqShape {
  /** Subspaces, 1..dimensions; even with 4 bits. */
  readonly m: number
  /** Bits of the number of a centroid: 8 for 256 centroids a subspace, or 4 for 16. */
  readonly bits: 4 | 8
  /** Absent for none. */
  readonly rotation?: Exclude<Rotation, "none">
}

/** One column of a buffer. */
export interface Column {
  readonly name: string
  /** Bytes from the aligned start of the buffer. */
  readonly offset: number
  /** Bytes of one block of 64 slots. */
  readonly blockBytes: number
}

/** Bytes a vector takes in its column, the int8 scale apart. */
const vectorBytes = (precision: Precision, dimensions: number): number =>
  ({ f32: 4 * dimensions, f16: 2 * dimensions, int8: dimensions, none: 0 })[precision]

/** The columns of the rows buffer in order of offset. */
export const rowColumns = (
  precision: Precision,
  dimensions: number,
  fields: FieldTypes = {}
): ReadonlyArray<Column> => {
  const widths: ReadonlyArray<readonly [name: string, blockBytes: number]> = [
    ["live", 8],
    ["generation", 2 * BLOCK],
    ["tag", 2 * BLOCK],
    ["scope", 4 * BLOCK],
    ["frequency", BLOCK],
    ["flags", BLOCK],
    ["scales", precision === "int8" ? 4 * BLOCK : 0],
    ["vectors", vectorBytes(precision, dimensions) * BLOCK],
    ...Object.entries(fields).map(([name, type]) => [fieldColumn(name), FIELD_BYTES[type] * BLOCK] as const)
  ]
  let offset = 0
  return widths
    .filter(([, blockBytes]) => blockBytes > 0)
    .map(([name, blockBytes]) => {
      const column = { name, offset, blockBytes }
      offset += blockBytes * BLOCKS
      return column
    })
}

/** The columns of the codes buffer: a scan that needs no factors reads none. Product codes have none. */
export const codeColumns = (metric: Metric, pq?: PqShape): ReadonlyArray<Column> =>
  pq !== undefined
    ? [{ name: "codes", offset: 0, blockBytes: (BLOCK * pq.m * pq.bits) / 8 }]
    : [
        { name: "codes", offset: 0, blockBytes: CODE_BLOCK_BYTES },
        { name: "factors", offset: FACTORS_OFFSET, blockBytes: 2 * BLOCK },
        ...(metric === "l2" ? [{ name: "norms", offset: NORMS_OFFSET, blockBytes: 2 * BLOCK }] : [])
      ]

/**
 * Elements of the parameters of an encoder: mean and matrix and, of product codes, half lengths and the rotation to
 * `rotated` components, 0 for none.
 */
export const parameterCount = (dimensions: number, pq?: PqShape, rotated = 0): number =>
  pq === undefined
    ? dimensions * (1 + CODE_BITS)
    : codebookOffsets({ dimensions, subspaces: pq.m, subspaceBits: pq.bits, rotated }).end

/** Components of the centroids of inverted lists of codes of this shape. */
export const componentCount = (dimensions: number, pq?: PqShape, rotated = 0): number =>
  codeComponents({ dimensions, subspaces: pq?.m ?? 0, subspaceBits: pq?.bits ?? 0, rotated })

/** The columns of the links of a chunk of list blocks. */
export const LINK_COLUMNS: ReadonlyArray<Column> = [
  { name: "live", offset: 0, blockBytes: 8 },
  { name: "next", offset: NEXT_OFFSET, blockBytes: 4 },
  { name: "rows", offset: LISTED_OFFSET, blockBytes: 4 * BLOCK }
]

/** Bytes of a buffer of these columns without its pad. */
export const bufferBytes = (columns: ReadonlyArray<Column>): number =>
  columns.reduce((end, column) => Math.max(end, column.offset + column.blockBytes * BLOCKS), 0)

/** The flat record that kernels read. */
export const segmentLayout = (
  dimensions: number,
  metric: Metric,
  precision: Precision,
  factorScale: number,
  pq?: PqShape,
  rotated = 0
): SegmentLayout => {
  const offsets = new Map(rowColumns(precision, dimensions).map((column) => [column.name, column.offset]))
  return {
    dimensions,
    metric: METRIC[metric],
    precision: PRECISION[precision],
    liveOffset: offsets.get("live") ?? 0,
    generationOffset: offsets.get("generation") ?? 0,
    scalesOffset: offsets.get("scales") ?? 0,
    vectorsOffset: offsets.get("vectors") ?? 0,
    factorScale,
    subspaces: pq?.m ?? 0,
    subspaceBits: pq?.bits ?? 0,
    rotated
  }
}
