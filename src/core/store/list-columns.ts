/** The buffers of inverted lists, and what kernels see of them. */
import type { Kernels, ListColumns } from "../kernels/contract.ts"
import { aligned } from "./aligned.ts"
import { CODE_BITS } from "./layout.ts"

/** Blocks of one allocation of list blocks, and the links between them. */
export interface ListChunk {
  readonly codes: SharedArrayBuffer
  readonly links: SharedArrayBuffer
}

/** The buffers of all lists. */
export interface ListBuffers {
  /** What `centroidViews` gives views of. */
  readonly centroids: SharedArrayBuffer
  readonly heads: SharedArrayBuffer
  readonly chunks: ReadonlyArray<ListChunk>
}

/** Centroids with what assigning and ranking add to their products, in one shared buffer. */
export interface Centroids {
  /** `256 x lists`. */
  readonly columns: Float32Array
  /** `|c|^2 / 2`. */
  readonly halfNorms: Float32Array
  readonly biases: Float32Array
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

export const listColumns = (kernels: Kernels, { centroids, heads, chunks }: ListBuffers): ListColumns => {
  const { columns, biases } = centroidViews(centroids)
  return {
    centroids: columns,
    biases,
    heads: new Uint32Array(heads),
    codes: chunks.map(({ codes }) => aligned(kernels, codes)),
    links: chunks.map(({ links }) => aligned(kernels, links))
  }
}
