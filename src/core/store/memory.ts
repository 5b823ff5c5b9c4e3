/**
 * The memory of a store as one thread sees it: typed views over buffers that all threads share.
 *
 * A `MemoryHandle` is what crosses to another thread. It is a snapshot of which buffers there
 * are, not of what is in them: buffers never move or shrink, so an old handle stays readable,
 * and `Directory.growth` tells when a newer one exists.
 */
import type { Calibration } from "../calibration.ts"
import { type Encoder, isMade } from "../index/encoder.ts"
import type { Centroids } from "../index/ivf.ts"
import type { SearchColumns as Columns, Kernels, SegmentLayout } from "../kernels/contract.ts"
import { aligned, newAligned } from "./aligned.ts"
import { type FieldColumn, newFieldColumn } from "./fields.ts"
import { type GraphBuffers, graphColumns } from "./graph-columns.ts"
import {
  BLOCK,
  BLOCKS,
  bufferBytes,
  type Column,
  codeColumns,
  type FieldTypes,
  fieldColumn,
  type Metric,
  type PqShape,
  type Precision,
  rowColumns,
  SLOTS,
  segmentLayout
} from "./layout.ts"
import { centroidViews, type ListBuffers, listColumns } from "./list-columns.ts"

/** What a store is: fixed when it is made. */
export interface StoreShape {
  readonly dimensions: number
  readonly metric: Metric
  readonly precision: Precision
  /** Typed columns that rows are filtered by; absent for none. */
  readonly fields?: FieldTypes
  /** Set where codes are product codes instead of 256 signs. */
  readonly pq?: PqShape
}

/** The buffers of one segment. */
export interface SegmentBuffers {
  readonly rows: SharedArrayBuffer
  /** Record address of each slot, u32. */
  readonly records: SharedArrayBuffer
}

/** One encoder and the codes buffers written with it, one a segment. */
export interface CodeSet {
  readonly version: number
  readonly encoder: Encoder
  readonly columns: ReadonlyArray<SharedArrayBuffer>
  /** Inverted lists of those codes, where there are any. */
  readonly lists?: ListBuffers | undefined
  /** What searches of those codes and lists were measured to find. */
  readonly calibration?: Calibration | undefined
}

/** The packed key index; `previous` is there while it moves to another table. */
interface KeyTables {
  readonly current: SharedArrayBuffer
  readonly previous: SharedArrayBuffer | undefined
}

export interface MemoryHandle {
  /** Unique in the process. */
  readonly id: string
  readonly shape: StoreShape
  readonly growth: number
  readonly directory: SharedArrayBuffer
  readonly segments: ReadonlyArray<SegmentBuffers>
  readonly codes: CodeSet
  /** The graph over the rows, where there is one. */
  readonly graph?: GraphBuffers | undefined
  readonly chunks: ReadonlyArray<SharedArrayBuffer | undefined>
  readonly tags: ReadonlyArray<SharedArrayBuffer>
  /** Rows that entries went from and to. */
  readonly moveLog: SharedArrayBuffer
  readonly keys: KeyTables
}

/** Views of one segment on this thread. */
export interface Segment {
  /** The aligned rows buffer: what kernels take. */
  readonly rows: Uint8Array
  readonly live: Int32Array
  readonly generation: Uint16Array
  readonly tag: Uint16Array
  /** Dictionary code of the namespace of each row, 0 for none. */
  readonly scope: Uint32Array
  /** Two bytes a row for whoever decides which rows give way; the store neither reads nor writes them. */
  readonly frequency: Uint8Array
  readonly flags: Uint8Array
  /** The columns of the fields, in their order. */
  readonly fields: ReadonlyArray<FieldColumn>
  readonly records: Uint32Array
}

/** What a search reads, with where it lies in each segment. */
export interface SearchColumns extends Columns {
  readonly layout: SegmentLayout
  /** What rows are put into lists by, where there are lists. */
  readonly centroids?: Centroids | undefined
  readonly calibration?: Calibration | undefined
  /** Whether the encoder has been made, so that the codes tell rows apart. */
  readonly coded: boolean
}

/** The columns of the rows buffer of a store. */
export const columnsOf = ({ precision, dimensions, fields }: StoreShape): ReadonlyArray<Column> =>
  rowColumns(precision, dimensions, fields)

export const newSegmentBuffers = (shape: StoreShape): SegmentBuffers => ({
  rows: newAligned(bufferBytes(columnsOf(shape))),
  records: new SharedArrayBuffer(SLOTS * 4)
})

export const newCodeColumn = (shape: StoreShape): SharedArrayBuffer =>
  newAligned(bufferBytes(codeColumns(shape.metric, shape.pq)))

/** The same in huge pages, where the system has them. */
export const newHugeCodeColumn = (
  kernels: Pick<Kernels, "alignmentPad" | "adviseHugePages">,
  shape: StoreShape
): SharedArrayBuffer => {
  const codes = newCodeColumn(shape)
  kernels.adviseHugePages(aligned(kernels, codes))
  return codes
}

export const segmentViews = (kernels: Kernels, shape: StoreShape, buffers: SegmentBuffers): Segment => {
  const rows = aligned(kernels, buffers.rows)
  const offsets = new Map(columnsOf(shape).map((column) => [column.name, column.offset]))
  const at = (name: string) => rows.byteOffset + (offsets.get(name) ?? 0)
  return {
    rows,
    live: new Int32Array(buffers.rows, at("live"), (BLOCKS * BLOCK) / 32),
    generation: new Uint16Array(buffers.rows, at("generation"), SLOTS),
    tag: new Uint16Array(buffers.rows, at("tag"), SLOTS),
    scope: new Uint32Array(buffers.rows, at("scope"), SLOTS),
    frequency: new Uint8Array(buffers.rows, at("frequency"), SLOTS),
    flags: new Uint8Array(buffers.rows, at("flags"), SLOTS),
    fields: Object.entries(shape.fields ?? {}).map(([name, type]) =>
      newFieldColumn(type, buffers.rows, at(fieldColumn(name)))
    ),
    records: new Uint32Array(buffers.records)
  }
}

export const isLive = (segment: Segment, slot: number): boolean =>
  ((Atomics.load(segment.live, slot >>> 5) >>> (slot & 31)) & 1) === 1

/** What a search over these segments under this code set reads. */
export const searchColumns = (
  kernels: Kernels,
  handle: Pick<MemoryHandle, "shape" | "codes" | "graph">,
  segments: ReadonlyArray<Segment>
): SearchColumns => {
  const { dimensions, metric, precision, pq } = handle.shape
  const { encoder, columns, lists, calibration } = handle.codes
  const layout = segmentLayout(dimensions, metric, precision, encoder.factorScale, pq, encoder.rotated)
  return {
    layout,
    coded: isMade(encoder),
    encoder: encoder.parameters,
    rows: segments.map((segment) => segment.rows),
    codes: columns.map((column) => aligned(kernels, column)),
    lists: lists && listColumns(kernels, layout, lists),
    centroids: lists && centroidViews(layout, lists.centroids),
    calibration,
    graph: handle.graph && graphColumns(kernels, handle.shape, handle.graph)
  }
}
