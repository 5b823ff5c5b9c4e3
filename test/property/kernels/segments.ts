/** Segments of random rows, for tests that compare kernels with each other. */
import fc from "fast-check"
import type { Hits, SegmentLayout } from "../../../src/core/kernels/contract.ts"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { SLOTS } from "../../../src/core/kernels/shape.ts"
import {
  bufferBytes,
  codeColumns,
  METRICS,
  type Metric,
  type PqShape,
  PRECISIONS,
  type Precision,
  parameterCount,
  rowColumns,
  segmentLayout
} from "../../../src/core/store/layout.ts"
import { addon } from "./addon.ts"
import { KINDS, type Kind, randomBits, randomSubset, randomVectors } from "./random.ts"

export interface Segment {
  readonly rows: Uint8Array
  readonly codes: Uint8Array
}

/** What a run of a property draws; everything else follows from the seed. */
export interface Shape {
  readonly seed: number
  readonly metric: Metric
  readonly precision: Precision
  readonly dimensions: number
  readonly kind: Kind
  readonly factorScale: number
  /** Set where codes are product codes. */
  readonly pq?: PqShape
  /** Components of a rotated vector; absent or 0 for no rotation. */
  readonly rotated?: number
}

/** Dimensions on both sides of every register width. */
const dimensions = fc.oneof(
  fc.integer({ min: 1, max: 70 }),
  fc.constantFrom(95, 96, 97, 127, 128, 129, 191, 192, 193, 255, 256, 257, 384)
)

export const shape = (
  metrics: ReadonlyArray<Metric> = METRICS,
  precisions: ReadonlyArray<Precision> = PRECISIONS
): fc.Arbitrary<Shape> =>
  fc.record({
    seed: fc.nat(),
    metric: fc.constantFrom(...metrics),
    precision: fc.constantFrom(...precisions),
    dimensions,
    kind: fc.constantFrom(...KINDS),
    factorScale: fc.constantFrom(1, 2, 2 ** 10, 2 ** 30)
  })

/** A shape whose codes are product codes, of vectors as they are or rotated to as many components or fewer. */
export const productShape = (
  metrics: ReadonlyArray<Metric> = METRICS,
  precisions: ReadonlyArray<Precision> = PRECISIONS
): fc.Arbitrary<Shape> =>
  fc
    .tuple(shape(metrics, precisions), fc.nat(), fc.constantFrom(4, 8), fc.nat())
    .map(([drawn, draw, bits, rotation]) => {
      const rotated = rotation % 2 === 0 ? 0 : 1 + (rotation % drawn.dimensions)
      const components = rotated || drawn.dimensions
      const most = Math.min(components, 48)
      const m = 1 + (draw % most)
      // One component cannot be cut in two.
      if (bits === 8 || components === 1) return { ...drawn, rotated, pq: { m, bits: 8 } }
      return { ...drawn, rotated, pq: { m: m % 2 === 0 ? m : m === most ? m - 1 : m + 1, bits: 4 } }
    })

export const layoutOf = (shape: Shape): SegmentLayout =>
  segmentLayout(shape.dimensions, shape.metric, shape.precision, shape.factorScale, shape.pq, shape.rotated)

/** Mean and projection, or mean, codebook and what goes for half lengths. */
export const encoderOf = (shape: Shape): Float32Array => {
  const encoder = randomVectors(shape.seed ^ 0x5eed, parameterCount(shape.dimensions, shape.pq, shape.rotated))
  for (let i = 0; i < shape.dimensions; i++) encoder[i] = encoder[i]! / 8
  return encoder
}

/** Rows or queries for a store of this shape: none is zero, and f16 holds every component. */
export const vectorsOf = (shape: Shape, seed: number, count: number, kind: Kind = shape.kind): Float32Array => {
  const vectors = randomVectors(seed, count * shape.dimensions, kind)
  if (shape.precision === "f16" && kind !== "denormal") {
    for (let i = 0; i < vectors.length; i++) vectors[i] = vectors[i]! * 2 ** -26
  }
  for (let from = 0; from < vectors.length; from += shape.dimensions) {
    if (vectors.subarray(from, from + shape.dimensions).every((x) => x === 0)) vectors[from] = 1
  }
  return vectors
}

/** Shared bytes that start on a multiple of 64. */
const aligned = (bytes: number): Uint8Array => {
  const view = new Uint8Array(new SharedArrayBuffer(bytes + 64))
  const pad = (addon ?? scalar).alignmentPad(view, 64)
  return view.subarray(pad, pad + bytes)
}

export const emptySegment = (shape: Shape): Segment => ({
  rows: aligned(bufferBytes(rowColumns(shape.precision, shape.dimensions))),
  codes: aligned(bufferBytes(codeColumns(shape.metric, shape.pq)))
})

/** `count` slots, most of them near the start so that blocks are shared, at times one in the last block. */
export const slotsOf = (seed: number, count: number): Uint32Array => {
  const slots = randomSubset(seed, count, 320)
  if (seed % 3 === 0 && count > 0) slots[0] = SLOTS - 1 - (seed % 64)
  return slots
}

/** A segment with rows written to `slotsOf(seed, count)`, about three in four of them live. */
export const filledSegment = (shape: Shape, seed: number, count: number): Segment => {
  const segment = emptySegment(shape)
  const slots = slotsOf(seed, count)
  const vectors = vectorsOf(shape, seed, count)
  scalar.writeRows(layoutOf(shape), vectors, slots, encoderOf(shape), segment.rows, segment.codes)
  const bits = randomBits(~seed)
  const live = segment.rows.subarray(layoutOf(shape).liveOffset)
  for (const slot of slots) if (bits() % 4 > 0) live[slot >> 3] = live[slot >> 3]! | (1 << (slot & 7))
  return segment
}

/** Room for the hits of a search. */
export const emptyHits = (queries: number, keep: number): Hits => ({
  rows: new Uint32Array(queries * keep),
  generations: new Uint16Array(queries * keep),
  scores: new Float32Array(queries * keep),
  estimates: new Float32Array(queries * keep),
  counts: new Uint32Array(queries)
})
