/**
 * The order of an image's bytes after the header, for the writer and the reader alike.
 *
 * A range is a stretch of the file that lies in one buffer. Ranges follow one another without
 * padding: header and full segments are multiples of 64 bytes, so only what follows a partly used
 * one may start elsewhere. Checksums start anew with each range, so none spans two buffers.
 */
import type { Kernels } from "../../kernels/contract.ts"
import { graphLayout } from "../graph-columns.ts"
import {
  BLOCK,
  BLOCKS,
  bufferBytes,
  type Column,
  codeColumns,
  componentCount,
  LINK_COLUMNS,
  parameterCount,
  SLOTS
} from "../layout.ts"
import { centroidBytes } from "../list-columns.ts"
import { columnsOf, type StoreShape } from "../memory.ts"

/** Bytes before the first section. */
export const HEADER_BYTES = 512
/** Bytes that one checksum covers; fewer at the end of a range. */
export const CHECKED_BYTES = 1 << 20

/**
 * What follows the header, in this order. The description has a checksum of its own, because what it says decides
 * where the columns lie; the checksums are those of all blocks of the other sections.
 */
export const SECTIONS = [
  "segments",
  "encoder",
  "keys",
  "records",
  "lists",
  "graph",
  "tags",
  "description",
  "checksums"
] as const
export type Section = (typeof SECTIONS)[number]

export interface Range {
  readonly section: Exclude<Section, "description" | "checksums">
  /** Segment, in the sections of segments and of the graph, or chunk of lists, and the buffer of it. */
  readonly segment: number
  readonly buffer: "rows" | "codes" | "addresses" | "centroids" | "heads" | "links" | "mean" | "linked" | "upper"
  /** First byte in its buffer. */
  readonly from: number
  readonly bytes: number
  /** First byte in the file. */
  readonly offset: number
  /** Number of its first checksum. */
  readonly checksum: number
}

/** What decides the length of every section. */
interface ImageSize {
  readonly shape: StoreShape
  /** Components of a rotated vector, 0 without a rotation. */
  readonly rotated: number
  readonly rows: number
  readonly keyCapacity: number
  readonly recordsBytes: number
  /** Inverted lists, 0 for none, and the blocks that they are made of. */
  readonly lists: number
  readonly listBlocks: number
  readonly tagsBytes: number
  readonly descriptionBytes: number
  /** Links of the graph, when there is one in the file. */
  readonly graph?: GraphSize | undefined
}

/** What decides the length of a graph. */
interface GraphSize {
  readonly m: number
  /** Bytes of the upper links of all rows. */
  readonly upperBytes: number
}

/** Where a section lies in the file. */
export interface Extent {
  readonly offset: number
  readonly bytes: number
}

export interface ImagePlan {
  readonly ranges: ReadonlyArray<Range>
  readonly extents: Readonly<Record<Section, Extent>>
  readonly checksumCount: number
  readonly fileBytes: number
}

/** Where everything lies in the file of an image. */
export const planImage = (size: ImageSize): ImagePlan => {
  const ranges = rangesOf(size)
  const last = ranges.at(-1)!
  const checksumCount = last.checksum + Math.ceil(last.bytes / CHECKED_BYTES)
  const bytesOf = (section: Section): number => {
    if (section === "checksums") return checksumCount * 4
    if (section === "description") return size.descriptionBytes
    return ranges.reduce((sum, range) => sum + (range.section === section ? range.bytes : 0), 0)
  }
  let offset = HEADER_BYTES
  const extents = Object.fromEntries(
    SECTIONS.map((section) => {
      const extent = { offset, bytes: bytesOf(section) }
      offset += extent.bytes
      return [section, extent]
    })
  ) as Record<Section, Extent>
  return { ranges, extents, checksumCount, fileBytes: offset }
}

/** A buffer whose columns hold so much a block. */
interface Buffer {
  readonly name: Range["buffer"]
  readonly columns: ReadonlyArray<Column>
}

/** Every range in the order of the file. */
const rangesOf = (size: ImageSize): ReadonlyArray<Range> => {
  const ranges: Array<Range> = []
  let offset = HEADER_BYTES
  let checksum = 0
  const add = (section: Range["section"], bytes: number, segment = 0, buffer: Range["buffer"] = "rows", from = 0) => {
    if (bytes === 0) return
    ranges.push({ section, segment, buffer, from, bytes, offset, checksum })
    offset += bytes
    checksum += Math.ceil(bytes / CHECKED_BYTES)
  }
  const buffers = [
    { name: "rows", columns: columnsOf(size.shape) },
    { name: "codes", columns: codeColumns(size.shape.metric, size.shape.pq) }
  ] as const
  const used = Math.ceil(size.rows / BLOCK)
  /** The used blocks of every buffer of a segment or chunk. */
  const addBlocks = (section: "segments" | "lists", segment: number, used: number, buffers: ReadonlyArray<Buffer>) => {
    const blocks = Math.min(BLOCKS, used - segment * BLOCKS)
    for (const { name, columns } of buffers) {
      if (blocks === BLOCKS) add(section, bufferBytes(columns), segment, name)
      else for (const column of columns) add(section, column.blockBytes * blocks, segment, name, column.offset)
    }
    return blocks
  }
  for (let segment = 0; segment * BLOCKS < used; segment++) {
    const blocks = addBlocks("segments", segment, used, buffers)
    add("segments", BLOCK * 4 * blocks, segment, "addresses")
  }
  add("encoder", 4 * parameterCount(size.shape.dimensions, size.shape.pq, size.rotated))
  add("keys", size.keyCapacity * 4)
  add("records", size.recordsBytes)
  add(
    "lists",
    centroidBytes(componentCount(size.shape.dimensions, size.shape.pq, size.rotated), size.lists),
    0,
    "centroids"
  )
  add("lists", 4 * size.lists, 0, "heads")
  for (let chunk = 0; chunk * BLOCKS < size.listBlocks; chunk++) {
    addBlocks("lists", chunk, size.listBlocks, [
      { name: "codes", columns: codeColumns(size.shape.metric, size.shape.pq) },
      { name: "links", columns: LINK_COLUMNS }
    ])
  }
  const { graph } = size
  if (graph !== undefined) {
    const { linkedOffset, linksOffset } = graphLayout(size.shape, graph.m)
    add("graph", 4 * size.shape.dimensions, 0, "mean")
    for (let segment = 0; segment * BLOCKS < used; segment++) {
      const blocks = Math.min(BLOCKS, used - segment * BLOCKS)
      add("graph", (BLOCK / 8) * blocks, segment, "linked", linkedOffset)
      add("graph", 8 * graph.m * BLOCK * blocks, segment, "links", linksOffset)
    }
    add("graph", graph.upperBytes, 0, "upper")
  }
  add("tags", size.tagsBytes)
  return ranges
}

/** Differs between any two formats of the columns of a segment. */
export const layoutHash = (kernels: Pick<Kernels, "crc32c">, shape: StoreShape): number => {
  const { metric, pq } = shape
  const products = pq === undefined ? [] : [pq.m, pq.bits]
  const format = [SLOTS, BLOCK, columnsOf(shape), codeColumns(metric, pq), ...products]
  return kernels.crc32c(new TextEncoder().encode(JSON.stringify(format)))
}
