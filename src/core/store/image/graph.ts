/**
 * The graph of a store as an image holds it: the mean, then for each segment the bits of linked
 * slots and the lowest links, then the upper links of all rows. Levels follow from the seed, and
 * copies from the vectors.
 */
import type { Kernels } from "../../kernels/contract.ts"
import { forEachSliced } from "../../slice.ts"
import { Graph } from "../graph.ts"
import type { GraphOptions } from "../graph-columns.ts"
import { BLOCK, BLOCKS, SLOTS } from "../layout.ts"
import type { CheckedHeader } from "./consistency.ts"
import { type ImageHeader, invalidField } from "./header.ts"
import type { Invalid } from "./invalid.ts"
import type { Range } from "./ranges.ts"

/** Links that are checked between two looks at the clock. */
const STEP = 16_384

/** The buffers of the graph's ranges. */
export interface GraphImage {
  readonly graph: Graph
  /** Row plus one and level of the entry at the moment of the image: rows are linked again while the rest is written. */
  readonly entry: readonly [row: number, level: number]
  /** Bits of the linked slots of each segment. */
  readonly linked: ReadonlyArray<Uint8Array>
  /** Upper links of the rows in use, one segment after another. */
  readonly upper: Uint8Array
}

const uppersOf = (graph: Graph, rows: number): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(rows / SLOTS) }, (_, segment) => graph.upperLinks(segment, rows - segment * SLOTS))

const bytesOf = (parts: ReadonlyArray<Uint8Array>): number => parts.reduce((sum, part) => sum + part.length, 0)

/** The graph as it is: no row may be linked until it has been written. */
export const packGraph = (graph: Graph, rows: number): GraphImage => {
  const parts = uppersOf(graph, rows)
  const upper = new Uint8Array(bytesOf(parts))
  let at = 0
  for (const part of parts) {
    upper.set(part, at)
    at += part.length
  }
  const linked = graph.unrestored ?? parts.map((_, segment) => graph.linkedBytes(segment))
  return { graph, entry: graph.entry, linked, upper }
}

/** What the header says of the graph that is wanted, and of the one that there is. */
export const graphFields = (wanted: GraphOptions | undefined, image: GraphImage | undefined) => {
  const [graphEntry, graphLevel] = image?.entry ?? [0, 0]
  return {
    graphUpperBytes: image?.upper.length ?? 0,
    graphM: wanted?.m ?? 0,
    graphEfConstruction: wanted?.efConstruction ?? 0,
    graphSeed: wanted?.seed ?? 0,
    graphEntry,
    graphLevel
  }
}

/** Buffers to read a graph into; undefined when the image has none, or no graph can be searched here. */
export const newGraphImage = (
  kernels: Kernels,
  { rows, segments, graphBytes, graphUpperBytes }: ImageHeader,
  { shape, graph: options }: CheckedHeader,
  invalid: Invalid
): GraphImage | undefined => {
  if (options === undefined || graphBytes === 0 || kernels.graph === undefined) return undefined
  const graph = new Graph(kernels, shape, options, new Float32Array(new SharedArrayBuffer(4 * shape.dimensions)))
  graph.extend(segments)
  const parts = uppersOf(graph, rows)
  if (bytesOf(parts) !== graphUpperBytes) {
    throw invalidField(invalid, "graphUpperBytes", `the levels of seed ${options.seed} take ${bytesOf(parts)}`)
  }
  const linked = parts.map(() => new Uint8Array(BLOCKS * (BLOCK / 8)))
  return { graph, entry: graph.entry, linked, upper: new Uint8Array(graphUpperBytes) }
}

/** The memory of a range of the graph's section. */
export const graphMemory = (
  { graph, linked, upper }: GraphImage,
  { buffer, segment, from, bytes }: Range
): Uint8Array => {
  const { mean } = graph
  if (buffer === "mean") return new Uint8Array(mean.buffer, mean.byteOffset, mean.byteLength)
  if (buffer === "linked") return linked[segment]!.subarray(0, bytes)
  return buffer === "upper" ? upper : graph.part(segment).subarray(from, from + bytes)
}

/** Checks what was read, whoever wrote it, and puts the entry and the upper links where they belong. */
export const adoptGraph = async (image: GraphImage, header: ImageHeader, invalid: Invalid): Promise<void> => {
  const { graph, linked, upper } = image
  const { rows, graphEntry, graphLevel } = header
  const outside = (reason: string) =>
    invalid("graph", header.graphOffset, header.graphOffset + header.graphBytes, reason)
  const check = (links: Uint32Array) =>
    forEachSliced(Math.ceil(links.length / STEP), undefined, (step) => {
      const end = Math.min(links.length, (step + 1) * STEP)
      for (let i = step * STEP; i < end; i++) if (links[i]! > rows) throw outside(`a link leads beyond row ${rows}`)
    })
  if (graph.mean.some((x) => !Number.isFinite(x))) throw outside("its mean is not finite")
  let last = -1
  for (const [segment, bits] of linked.entries()) {
    const byte = bits.findLastIndex((byte) => byte !== 0)
    if (byte >= 0) last = segment * SLOTS + byte * 8 + 31 - Math.clz32(bits[byte]!)
  }
  if (last >= rows) throw outside(`row ${last} of ${rows} is linked`)
  // An entry stays when all that were linked have been replaced.
  if (graphEntry > rows || (graphEntry === 0 && last >= 0)) {
    throw invalidField(invalid, "graphEntry", `${graphEntry} is no linked row`)
  }
  if (graphEntry > 0 && graph.level(graphEntry - 1) !== graphLevel) {
    throw invalidField(invalid, "graphLevel", `the entry is not of level ${graphLevel}`)
  }
  for (let segment = 0; segment < linked.length; segment++) await check(graph.lowestLinks(segment))
  await check(new Uint32Array(upper.buffer))
  let at = 0
  for (const part of uppersOf(graph, rows)) {
    part.set(upper.subarray(at, at + part.length))
    at += part.length
  }
  graph.enter(graphEntry, graphLevel)
  graph.unrestored = linked
  // Walks from a row that is not linked may lead nowhere: its slot waits for other links, or was linked after the image.
  const isLinked = (row: number) => ((linked[Math.floor(row / SLOTS)]![(row % SLOTS) >>> 3]! >>> (row & 7)) & 1) === 1
  if (last >= 0 && !isLinked(graphEntry - 1)) graph.enterHighest(last + 1, isLinked)
}
