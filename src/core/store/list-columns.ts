/** The buffers of inverted lists, and what kernels see of them. */
import type { Centroids } from "../index/ivf.ts"
import { type CodeColumns, codeColumns } from "../kernels/columns.ts"
import type { Kernels, ListColumns, SegmentLayout } from "../kernels/contract.ts"
import { LISTED_OFFSET, NEXT_OFFSET } from "../kernels/shape.ts"
import { shortlistBytes, shortlistColumns, storeCentroid } from "../kernels/shortlist.ts"
import { forEachSliced } from "../slice.ts"
import { aligned, newAligned } from "./aligned.ts"
import { BLOCK, BLOCKS, CODE_BITS, SLOTS } from "./layout.ts"

/** Most lists that an option asks for, or that there are after splits. */
export const MAX_LISTS = 65_536

/** Lists from which they are ranked in two levels: of fewer, the ranks of all take no longer. */
const MANY_LISTS = 512

/** Blocks of one allocation of list blocks, and the links between them. */
export interface ListChunk {
  readonly codes: SharedArrayBuffer
  readonly links: SharedArrayBuffer
}

/** The buffers of all lists. */
export interface ListBuffers {
  /** What `centroidViews` gives views of. */
  readonly centroids: SharedArrayBuffer
  /** Made of the centroids where there are many. */
  readonly shortlist: SharedArrayBuffer | undefined
  readonly heads: SharedArrayBuffer
  readonly chunks: ReadonlyArray<ListChunk>
}

/** The views of a buffer of centroids. */
export const centroidViews = (buffer: SharedArrayBuffer): Centroids => {
  const lists = buffer.byteLength / (4 * (CODE_BITS + 2))
  return {
    columns: new Float32Array(buffer, 0, CODE_BITS * lists),
    halfNorms: new Float32Array(buffer, 4 * CODE_BITS * lists, lists),
    biases: new Float32Array(buffer, 4 * (CODE_BITS + 1) * lists, lists)
  }
}

/** Bytes of a buffer of centroids. */
export const centroidBytes = (lists: number): number => 4 * (CODE_BITS + 2) * lists

/** Centroids copied into one shared buffer. */
export const packCentroids = ({ columns, halfNorms, biases }: Centroids): SharedArrayBuffer => {
  const buffer = new SharedArrayBuffer(4 * (columns.length + halfNorms.length + biases.length))
  const views = centroidViews(buffer)
  views.columns.set(columns)
  views.halfNorms.set(halfNorms)
  views.biases.set(biases)
  return buffer
}

/** The shortlist of centroids, where there are enough of them. */
export const makeShortlist = async (
  kernels: Pick<Kernels, "alignmentPad">,
  layout: SegmentLayout,
  { columns, biases }: Centroids
): Promise<SharedArrayBuffer | undefined> => {
  const lists = biases.length
  if (lists < MANY_LISTS) return undefined
  const buffer = newAligned(shortlistBytes(lists))
  const shortlist = shortlistColumns(aligned(kernels, buffer), lists)
  await forEachSliced(lists, undefined, (list) =>
    storeCentroid(layout, { centroids: columns, biases }, shortlist, list)
  )
  return buffer
}

export const listColumns = (kernels: Kernels, { centroids, shortlist, heads, chunks }: ListBuffers): ListColumns => {
  const { columns, biases } = centroidViews(centroids)
  return {
    centroids: columns,
    biases,
    shortlist: shortlist && aligned(kernels, shortlist),
    heads: new Uint32Array(heads),
    codes: chunks.map(({ codes }) => aligned(kernels, codes)),
    links: chunks.map(({ links }) => aligned(kernels, links))
  }
}

/** Views of a chunk on the owner's thread. */
export interface ListChunkViews {
  readonly codes: CodeColumns
  readonly live: Int32Array
  readonly next: Uint32Array
  readonly rows: Uint32Array
}

export const listChunkViews = (
  kernels: Kernels,
  layout: SegmentLayout,
  { codes, links }: ListChunk
): ListChunkViews => {
  const bytes = aligned(kernels, links)
  const at = (offset: number) => bytes.byteOffset + offset
  return {
    codes: codeColumns(layout, aligned(kernels, codes)),
    live: new Int32Array(links, at(0), (BLOCKS * BLOCK) / 32),
    next: new Uint32Array(links, at(NEXT_OFFSET), BLOCKS),
    rows: new Uint32Array(links, at(LISTED_OFFSET), SLOTS)
  }
}
