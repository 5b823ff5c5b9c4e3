/** The buffers of a graph, where its columns lie in them, and what kernels see of them. */
import type { GraphColumns, GraphLayout, Kernels } from "../kernels/contract.ts"
import { aligned, newAligned } from "./aligned.ts"
import { BLOCKS, type Precision, SLOTS } from "./layout.ts"

/** How a graph is built. */
export interface GraphOptions {
  /** Links of a row above the lowest level, 4..64; twice as many there. */
  readonly m: number
  /** Candidates that the neighbours of a row are selected from, 1..4096. */
  readonly efConstruction: number
  /** What levels are drawn with. */
  readonly seed: number
}

/** The buffers of a graph. */
export interface GraphBuffers {
  readonly options: GraphOptions
  readonly words: SharedArrayBuffer
  readonly mean: SharedArrayBuffer
  /** One a segment, padded. */
  readonly segments: ReadonlyArray<SharedArrayBuffer>
}

/** Words that a whole graph shares. */
export const GRAPH_WORDS = 4
/** Index of the number of linked rows. */
export const LINKED_WORD = 2
/** Index of the number of those that are no longer live. */
export const DEAD_WORD = 3

/** What decides where columns lie. */
interface Shape {
  readonly dimensions: number
  readonly precision: Precision
}

/** Bytes a slot has in each column, in order, the upper links apart. */
const widths = ({ dimensions, precision }: Shape, m: number) => ({
  linked: 1 / 8,
  nodes: 4,
  places: 4,
  terms: 8,
  links: 8 * m,
  copies: precision === "int8" ? 0 : dimensions
})

export const graphLayout = (shape: Shape, m: number): GraphLayout => {
  let offset = 0
  const offsets = Object.fromEntries(
    Object.entries(widths(shape, m)).map(([name, width]) => {
      offset += width * SLOTS
      return [name, offset - width * SLOTS]
    })
  ) as Record<keyof ReturnType<typeof widths>, number>
  return {
    m,
    linkedOffset: offsets.linked,
    nodesOffset: offsets.nodes,
    placesOffset: offsets.places,
    termsOffset: offsets.terms,
    linksOffset: offsets.links,
    copiesOffset: shape.precision === "int8" ? 0 : offsets.copies,
    upperOffset: offset
  }
}

/** A buffer for segment number `segment`, with no row linked. */
export const newGraphSegment = (
  kernels: Kernels,
  shape: Shape,
  { m, seed }: GraphOptions,
  segment: number
): SharedArrayBuffer => {
  const layout = graphLayout(shape, m)
  const upper = kernels.graph?.upperLinks(m, seed, segment) ?? 0
  const buffer = newAligned(layout.upperOffset + 4 * upper)
  kernels.graph?.prepare(layout, seed, segment, aligned(kernels, buffer))
  return buffer
}

export const graphColumns = (
  kernels: Kernels,
  shape: Shape,
  { options, words, mean, segments }: GraphBuffers
): GraphColumns => ({
  layout: graphLayout(shape, options.m),
  words: new Uint32Array(words),
  mean: new Float32Array(mean),
  segments: segments.map((segment) => aligned(kernels, segment))
})

/** Views of the bits of linked slots of a segment: two halves a block. */
export const linkedBits = (part: Uint8Array): Int32Array => new Int32Array(part.buffer, part.byteOffset, 2 * BLOCKS)
