/** The buffers of inverted lists, and what kernels see of them. */
import type { Centroids } from "../index/ivf.ts"
import { type CodeColumns, codeColumns } from "../kernels/columns.ts"
import type { Kernels, ListColumns, SegmentLayout } from "../kernels/contract.ts"
import { codeComponents } from "../kernels/pq.ts"
import { LISTED_OFFSET, NEXT_OFFSET } from "../kernels/shape.ts"
import { shortlistBytes, shortlistColumns, storeCentroid } from "../kernels/shortlist.ts"
import { forEachSliced } from "../slice.ts"
import { aligned, newAligned } from "./aligned.ts"
import { BLOCK, BLOCKS, SLOTS } from "./layout.ts"

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

/** The views of a buffer of centroids of codes of this layout. */
export const centroidViews = (layout: SegmentLayout, buffer: SharedArrayBuffer): Centroids => {
  const components = codeComponents(layout)
  return viewsOf(buffer, components, buffer.byteLength / centroidBytes(components, 1))
}

const viewsOf = (buffer: SharedArrayBuffer, components: number, lists: number): Centroids => ({
  columns: new Float32Array(buffer, 0, components * lists),
  halfNorms: new Float32Array(buffer, 4 * components * lists, lists),
  biases: new Float32Array(buffer, 4 * (components + 1) * lists, lists)
})

/** Bytes of a buffer of centroids. */
export const centroidBytes = (components: number, lists: number): number => 4 * (components + 2) * lists

/** Centroids copied into one shared buffer. */
export const packCentroids = ({ columns, halfNorms, biases }: Centroids): SharedArrayBuffer => {
  const lists = halfNorms.length
  const components = columns.length / lists
  const buffer = new SharedArrayBuffer(centroidBytes(components, lists))
  const views = viewsOf(buffer, components, lists)
  views.columns.set(columns)
  views.halfNorms.set(halfNorms)
  views.biases.set(biases)
  return buffer
}

/** The shortlist of centroids, where there are enough of them and codes are signs. */
export const makeShortlist = async (
  kernels: Pick<Kernels, "alignmentPad">,
  layout: SegmentLayout,
  { columns, biases }: Centroids
): Promise<SharedArrayBuffer | undefined> => {
  const lists = biases.length
  if (lists < MANY_LISTS || layout.subspaces > 0) return undefined
  const buffer = newAligned(shortlistBytes(lists))
  const shortlist = shortlistColumns(aligned(kernels, buffer), lists)
  await forEachSliced(lists, undefined, (list) =>
    storeCentroid(layout, { centroids: columns, biases }, shortlist, list)
  )
  return buffer
}

export const listColumns = (
  kernels: Kernels,
  layout: SegmentLayout,
  { centroids, shortlist, heads, chunks }: ListBuffers
): ListColumns => {
  const { columns, biases } = centroidViews(layout, centroids)
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
