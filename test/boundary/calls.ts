/** Every function that the addon exports, with arguments that it accepts: what the mutations start from. */
import { readdirSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import type { GraphLayout, Kernels, SearchPlan, SegmentLayout } from "../../src/core/kernels/contract.ts"
import { packedPlan } from "../../src/core/kernels/packed-plan.ts"
import { codeComponents } from "../../src/core/kernels/pq.ts"
import { BLOCKS, FILTER_OP, LINKS_BYTES, NEXT_OFFSET, SLOTS } from "../../src/core/kernels/shape.ts"
import { shortlistBytes } from "../../src/core/kernels/shortlist.ts"
import { kernels } from "../../src/core/native.ts"
import { graphLayout } from "../../src/core/store/graph-columns.ts"
import {
  bufferBytes,
  codeColumns,
  METRICS,
  type PqShape,
  PRECISIONS,
  parameterCount,
  rowColumns,
  segmentLayout
} from "../../src/core/store/layout.ts"
import { floats, freshBytes, noiseBytes, numbers } from "./memory.ts"

/** Numbers that valid arguments follow from. */
export type Draw = readonly [metric: number, precision: number, dimensions: number, size: number, choice: number]

type Arguments = ReadonlyArray<unknown>
type Graph = NonNullable<Kernels["graph"]>

/** Dimensions that keep the buffers of a segment in the cache. */
const DIMENSIONS = [1, 2, 3, 4, 5, 8]
const MODES = 6
const IVF = 3
const HNSW = 4
const PQ = 5
const CONTROL_WORDS = 4

const shapeOf = ([metric, precision, dimensions, , choice]: Draw, isProduct = false) => {
  const d = DIMENSIONS[dimensions % DIMENSIONS.length]!
  const pq: PqShape | undefined = isProduct ? (d % 2 === 0 ? { m: 2, bits: 4 } : { m: 1, bits: 8 }) : undefined
  const rotated = isProduct ? [0, d, Math.max(pq!.m, d - 1)][(choice >> 2) % 3]! : 0
  const metricName = METRICS[metric % METRICS.length]!
  const precisionName = PRECISIONS[precision % PRECISIONS.length]!
  const layout = segmentLayout(d, metricName, precisionName, 2 ** (choice % 9), pq, rotated)
  const rowBytes = bufferBytes(rowColumns(precisionName, d))
  const codeBytes = bufferBytes(codeColumns(metricName, pq))
  const encoder = floats(parameterCount(d, pq, rotated), choice)
  return { d, layout, encoder, precision: precisionName, rowBytes, codeBytes }
}

const stored = (draw: Draw): Draw => [draw[0], draw[1] % 3, draw[2], draw[3], draw[4]]

const filterOf = (size: number, liveOffset: number, mask: boolean) => ({
  ops: Uint32Array.of(
    ...[FILTER_OP.between, liveOffset, 0, 2, FILTER_OP.in32, liveOffset, 1, size % 3],
    ...[FILTER_OP.or, 0, 0, 0, FILTER_OP.in8, liveOffset, 0, 3, FILTER_OP.not, 0, 0, 0, FILTER_OP.and, 0, 0, 0]
  ),
  constants: Float64Array.of(-1e300, 1e300, size, 4),
  ...(mask ? { mask: new Uint32Array(4 * BLOCKS), isFilled: size % 2 === 0 } : {})
})

/** Noise as words below `bound`, in a column of a buffer. */
const bound = (bytes: Uint8Array, offset: number, count: number, below: number): void => {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + offset, count)
  for (let i = 0; i < count; i++) words[i] = words[i]! % below
}

const listsOf = (layout: SegmentLayout, codeBytes: number, size: number) => {
  // Enough to be ranked in two levels, or few.
  const count = size % 3 === 0 ? 128 + (size % 70) : 1 + (size % 5)
  const links = noiseBytes(LINKS_BYTES, 7)
  bound(links, NEXT_OFFSET, BLOCKS, BLOCKS + 9)
  return {
    centroids: floats(codeComponents(layout) * count, size),
    biases: floats(count, size),
    ...(size % 2 === 0 ? { shortlist: noiseBytes(shortlistBytes(count), 9) } : {}),
    heads: numbers(count, BLOCKS, size),
    codes: [noiseBytes(codeBytes, 7)],
    links: [links]
  }
}

const UPPER_WORDS = 4096
const LEVELS = 4
const parts = new Map<string, Uint8Array>()

/** The buffer of a segment of a graph whose links lead to rows, at levels and places that there are mostly. */
const partOf = (graph: GraphLayout, slot: number): Uint8Array => {
  const part = noiseBytes(graph.upperOffset + UPPER_WORDS * 4, slot)
  const key = `${graph.m} ${part.length}`
  const known = parts.get(key)
  if (known !== undefined) {
    part.set(known)
    return part
  }
  bound(part, graph.nodesOffset, SLOTS, LEVELS)
  bound(part, graph.placesOffset, SLOTS, UPPER_WORDS)
  bound(part, graph.linksOffset, 2 * graph.m * SLOTS, 2 * SLOTS + 100)
  bound(part, graph.upperOffset, UPPER_WORDS, 2 * SLOTS + 100)
  parts.set(key, part.slice())
  return part
}

const graphOf = (draw: Draw, { layout, precision, d }: ReturnType<typeof shapeOf>, segments: number) => {
  const graph = graphLayout({ dimensions: layout.dimensions, precision }, 4 + (draw[4] % 3))
  return {
    layout: graph,
    words: Uint32Array.of((draw[3] * 97) % 3000, draw[3] % LEVELS, 1, 0),
    mean: floats(d, draw[3]),
    segments: Array.from({ length: segments }, (_, i) => partOf(graph, 20 + i))
  }
}

const searchOf = (draw: Draw): Arguments => {
  const [, , , size, choice] = draw
  const mode = choice % MODES
  const isWalk = mode === HNSW
  const isProduct = mode === PQ || (mode === IVF && choice % 4 === 1)
  const shape = shapeOf(isWalk ? stored(draw) : draw, isProduct)
  const { layout, d, rowBytes, codeBytes } = shape
  const segments = 1 + (size % 2)
  const queries = 1 + (size % 9)
  const keep = 1 + (choice % 40)
  const fromBlock = size % 61 === 0 ? 0 : (size * 7) % (segments * BLOCKS)
  const plan: SearchPlan = {
    ...layout,
    mode,
    keep,
    rerank: layout.precision === 3 && !isProduct ? 0 : 1 + (size % 50),
    nprobe: mode === IVF ? 1 + (size % 4) : 0,
    fromBlock,
    toBlock: size % 61 === 0 ? segments * BLOCKS : Math.min(segments * BLOCKS, fromBlock + 3),
    cancel: size % CONTROL_WORDS,
    ...(choice % 5 === 0 ? { minScore: -1 } : {}),
    ...(choice % 7 === 0 ? { seed: -1 } : {}),
    ...(choice % 4 === 0 && layout.precision !== 3 ? { fetch: 9, lambda: 0.5, fast: choice % 8 === 0 } : {}),
    ...(isWalk ? { efSearch: 1 + (size % 40) } : {})
  }
  const columns = {
    rows: Array.from({ length: segments }, (_, i) => noiseBytes(rowBytes, i)),
    codes: Array.from({ length: segments }, (_, i) => noiseBytes(codeBytes, 2 + i)),
    encoder: shape.encoder,
    ...(mode === IVF ? { lists: listsOf(layout, codeBytes, size) } : {}),
    ...(isWalk ? { graph: graphOf(draw, shape, segments) } : {})
  }
  const hits = {
    rows: new Uint32Array(queries * keep),
    generations: new Uint16Array(queries * keep),
    scores: new Float32Array(queries * keep),
    estimates: new Float32Array(queries * keep),
    counts: new Uint32Array(queries)
  }
  const filter = choice % 3 === 0 ? [filterOf(size, layout.liveOffset, choice % 2 === 0)] : []
  return [plan, columns, floats(queries * d, size), new Int32Array(CONTROL_WORDS), hits, ...filter]
}

/** Layout, columns and rows of a call that changes a graph; its memory is as it was before other calls. */
const linkingOf = (draw: Draw) => {
  const shape = shapeOf(stored(draw))
  const segments = 1 + (draw[3] % 2)
  const rows = Array.from({ length: segments }, (_, i) => freshBytes(shape.rowBytes, 10 + i))
  const graph = graphOf(draw, shape, segments)
  return { layout: shape.layout, columns: { rows, codes: [], encoder: shape.encoder, graph } }
}

/** Arguments that each function accepts, by its name; those of the graph's after a dot. */
export const CALLS: Readonly<Record<string, (draw: Draw) => Arguments>> = {
  isas: () => [],
  activeIsa: () => [],
  useIsa: ([, , , size]) => [kernels.isas()[size % kernels.isas().length]],
  alignmentPad: ([, , , size, choice]) => [new Uint8Array(size), 2 ** (choice % 22)],
  crc32c: ([, , , size]) => [new Uint8Array(size)],
  crc32cBlocks: ([, , , size, choice]) => {
    const block = 1 + (choice % 100)
    return [new Uint8Array(size), block, new Uint32Array(Math.ceil(size / block))]
  },
  verifyBlocks: ([, , , size, choice]) => {
    const block = 1 + (choice % 100)
    const view = choice % 2 === 0 ? new Uint8Array(new SharedArrayBuffer(size)) : new Uint8Array(size)
    return [view, block, new Uint32Array(Math.ceil(size / block))]
  },
  checkRows: ([, , , size, choice]) => {
    const records = numbers(size % 90, 2 ** (choice % 32), choice)
    const addresses = numbers(size, 1 + (choice % 50), size)
    return [new Int32Array(Math.ceil(size / 32)).fill(choice), addresses, records, choice % 70_000, choice % 7, size]
  },
  countKeys: ([, , , size, choice]) => [numbers(size, 99, choice), choice % 120, choice % 7, size],
  matmul: ([m, k, n]) => {
    const sizes = [m % 20, k % 20, n % 70]
    const [rows, inner, columns] = sizes as [number, number, number]
    return [floats(rows * inner, m), floats(inner * columns, k), new Float32Array(rows * columns), ...sizes]
  },
  spectralFeatures: ([rows, columns, , size, choice]) => {
    const sides = [1 + (rows % 20), 1 + (columns % 20), 1 + (size % 3), 1 + (choice % 4)]
    const count = sides.reduce((product, side) => product * side, 1)
    return [floats(count, choice), ...sides, new Float32Array(8)]
  },
  checkVectors: ([, , dimensions, size]) => [floats((1 + (size % 5)) * (1 + dimensions), size), 1 + dimensions, 1e30],
  writeRows: (draw) => {
    const { layout, d, encoder, rowBytes, codeBytes } = shapeOf(draw, draw[4] % 4 === 0)
    const slots = numbers(draw[3] % 30, SLOTS, draw[4])
    return [
      layout,
      floats(slots.length * d, draw[4]),
      slots,
      encoder,
      noiseBytes(rowBytes, 0),
      noiseBytes(codeBytes, 2)
    ]
  },
  encodeStored: (draw) => {
    const { layout, encoder, rowBytes, codeBytes } = shapeOf(stored(draw), draw[4] % 4 === 0)
    const from = (draw[3] * 257) % SLOTS
    const to = Math.min(SLOTS, from + (draw[4] % 40))
    return [layout, from, to, encoder, noiseBytes(rowBytes, 0), noiseBytes(codeBytes, 2)]
  },
  assignLists: (draw) => {
    const { layout, encoder, codeBytes } = shapeOf(draw, draw[4] % 4 === 0)
    const [slots, lists] = [numbers(draw[3] % 80, SLOTS, draw[4]), 1 + (draw[4] % 9)]
    const centroids = floats(codeComponents(layout) * lists, draw[3])
    const found = new Uint32Array(slots.length)
    return [layout, slots, encoder, noiseBytes(codeBytes, 2), centroids, floats(lists, 1), found]
  },
  readVectors: (draw) => {
    const { layout, d, rowBytes } = shapeOf(stored(draw))
    const slots = numbers(draw[3] % 40, SLOTS, draw[4])
    return [layout, slots, noiseBytes(rowBytes, 0), new Float32Array(slots.length * d)]
  },
  search: searchOf,
  filterRows: (draw) => {
    const { layout, rowBytes } = shapeOf(draw)
    const rows = [noiseBytes(rowBytes, 0), noiseBytes(rowBytes, 1)]
    const words = new Uint32Array(2 * (1 + (draw[4] % 80)))
    return [layout.liveOffset, rows, filterOf(draw[3], layout.liveOffset, draw[4] % 2 === 0), words]
  },
  streamBytes: ([, , , size]) => [new Uint8Array(size)],
  adviseHugePages: ([, , , size]) => [size % 9 === 0 ? noiseBytes(2 ** 21, 30) : new Uint8Array(size)],
  releasePages: ([, , , size]) => [size % 9 === 0 ? noiseBytes(2 ** 21, 31) : new Uint8Array(size)],
  "graph.upperLinks": ([m, , , seed, segment]) => [4 + (m % 61), seed, segment],
  "graph.prepare": (draw) => {
    const graph = graphLayout({ dimensions: 4, precision: "f32" }, 4)
    const seed = draw[3] % 4
    const upper = (kernels.graph as Graph).upperLinks(4, seed, 0)
    return [graph, seed, 0, noiseBytes(graph.upperOffset + 4 * upper, 24)]
  },
  "graph.insert": (draw) => {
    const { layout, columns } = linkingOf(draw)
    const rows = numbers(draw[3] % 6, columns.rows.length * SLOTS, draw[4])
    return [layout, columns, rows, 1 + (draw[4] % 24), new Int32Array(CONTROL_WORDS), draw[4] % CONTROL_WORDS]
  },
  "graph.repair": (draw) => {
    const { layout, columns } = linkingOf(draw)
    const from = (draw[3] * 257) % SLOTS
    const control = new Int32Array(CONTROL_WORDS)
    return [layout, columns, from, from + (draw[4] % 12), 1 + (draw[4] % 24), control, draw[4] % CONTROL_WORDS]
  },
  "graph.copy": (draw) => {
    const { layout, columns } = linkingOf(draw)
    const linked = new Uint8Array(SLOTS / 8)
    for (let i = 0; i < 20; i++) linked[(draw[4] * 31 + i * 97) % linked.length] = draw[3] % 256
    return [layout, columns, draw[3] % columns.rows.length, linked]
  }
}

/** Every function that a loaded addon has, by the names of `CALLS`. */
export const exportedFunctions = (addon: object, prefix = ""): ReadonlyArray<string> =>
  Object.entries(addon).flatMap(([name, value]) => {
    if (typeof value === "function") return [prefix + name]
    return typeof value === "object" && value !== null ? exportedFunctions(value, `${prefix}${name}.`) : []
  })

const NATIVE = join(import.meta.dirname, "../../native")

/** The addon as it is, without what packs plans and locates columns for it. */
const addon = createRequire(import.meta.url)(
  process.env["SIMD_NAPI_PATH"] ?? join(NATIVE, readdirSync(NATIVE).find((name) => name.endsWith(".node"))!)
) as Record<"searchPacked" | "locateColumns", (...args: Arguments) => unknown>

/** A plan whose fields may be anything, packed as one whose fields are numbers; whatever else it may be, as it is. */
const packed = (plan: unknown): unknown => {
  if (typeof plan !== "object" || plan === null || !("mode" in plan)) return plan
  const numbers = Object.entries(plan).filter(([, value]) => typeof value === "number" || typeof value === "boolean")
  return packedPlan(Object.fromEntries(numbers) as unknown as SearchPlan)
}

/** Columns as the addon locates them; what is nothing like them, as it is. */
const located = (columns: unknown): unknown =>
  typeof columns === "object" && columns !== null && "rows" in columns ? addon.locateColumns(columns) : columns

/** The function of that name. */
export const functionOf = (name: string): ((...args: Arguments) => unknown) => {
  if (name === "search") {
    return (plan, columns, ...others) => addon.searchPacked(packed(plan), located(columns), ...others)
  }
  const path = name.split(".")
  const holder = path.length > 1 ? (kernels as unknown as Record<string, object>)[path[0]!]! : kernels
  return (holder as Record<string, (...args: Arguments) => unknown>)[path.at(-1)!]!
}
