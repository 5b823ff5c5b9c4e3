/** Columns of every shape: apart, aligned, as wide as documented, and what is written to them is read back. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { kernels } from "../../src/core/native.ts"
import {
  ALIGNMENT,
  BLOCK,
  BLOCKS,
  bufferBytes,
  codeColumns,
  METRICS,
  PRECISIONS,
  rowColumns,
  SLOTS,
  segmentLayout
} from "../../src/core/store/layout.ts"
import { newSegmentBuffers, segmentViews } from "../../src/core/store/memory.ts"
import { emptySegment, encoderOf, layoutOf, shape, vectorsOf } from "./kernels/segments.ts"

const dimensions = fc.oneof(fc.integer({ min: 1, max: 8192 }), fc.constantFrom(1, 2, 3, 384, 768, 1536, 8192))

test("columns do not overlap and start on 64 bytes", () => {
  fc.assert(
    fc.property(
      dimensions,
      fc.constantFrom(...METRICS),
      fc.constantFrom(...PRECISIONS),
      (dimensions, metric, precision) => {
        const columns = rowColumns(precision, dimensions)
        for (const buffer of [columns, codeColumns(metric)]) {
          let end = 0
          for (const { offset, blockBytes } of buffer) {
            assert.equal(offset % ALIGNMENT, 0)
            assert.equal(offset, end)
            end = offset + blockBytes * BLOCKS
          }
          assert.equal(bufferBytes(buffer), end)
        }
        const bytes = { f32: 4 * dimensions, f16: 2 * dimensions, int8: dimensions + 4, none: 0 }[precision]
        const vectors = columns.filter(({ name }) => name === "vectors" || name === "scales")
        assert.equal(
          vectors.reduce((sum, { blockBytes }) => sum + blockBytes, 0),
          bytes * BLOCK
        )
      }
    )
  )
})

test("codes, factors and cold columns take 44 bytes an entry, and norms 2 more", () => {
  const cold = ["generation", "tag", "scope", "frequency", "flags"]
  const coldColumns = rowColumns("none", 384).filter(({ name }) => cold.includes(name))
  for (const [metric, bytes] of [
    ["cosine", 44],
    ["dot", 44],
    ["l2", 46]
  ] as const) {
    const columns = [...coldColumns, ...codeColumns(metric)]
    assert.equal(
      columns.reduce((sum, { blockBytes }) => sum + blockBytes, 0),
      bytes * BLOCK
    )
  }
})

test("the record that kernels read names the same offsets", () => {
  for (const metric of METRICS) {
    for (const precision of PRECISIONS) {
      const layout = segmentLayout(24, metric, precision, 1)
      const offset = (name: string) => rowColumns(precision, 24).find((column) => column.name === name)?.offset ?? 0
      assert.equal(layout.liveOffset, offset("live"))
      assert.equal(layout.generationOffset, offset("generation"))
      assert.equal(layout.scalesOffset, offset("scales"))
      assert.equal(layout.vectorsOffset, offset("vectors"))
    }
  }
})

test("views of a segment lie on its columns", () => {
  for (const precision of PRECISIONS) {
    const shape = { dimensions: 3, metric: "l2", precision } as const
    const segment = segmentViews(kernels, shape, newSegmentBuffers(shape))
    const layout = segmentLayout(3, "l2", precision, 1)
    assert.equal(segment.rows.byteLength, bufferBytes(rowColumns(precision, 3)))
    assert.equal(segment.live.byteOffset - segment.rows.byteOffset, layout.liveOffset)
    assert.equal(segment.generation.byteOffset - segment.rows.byteOffset, layout.generationOffset)
    assert.deepEqual([segment.generation.length, segment.tag.length, segment.records.length], [SLOTS, SLOTS, SLOTS])
    assert.equal(segment.live.length * 32, SLOTS)
  }
})

test("rows written to any slots read back as their precision keeps them, and leave the others alone", () => {
  fc.assert(
    fc.property(
      shape(METRICS, ["f32", "f16", "int8"]),
      fc.uniqueArray(fc.nat(SLOTS - 1), { minLength: 1, maxLength: 6 }),
      (shape, slots) => {
        const { dimensions, metric, precision } = shape
        const layout = layoutOf(shape)
        const { rows, codes } = emptySegment(shape)
        const vectors = vectorsOf(shape, shape.seed, slots.length, "ordinary")
        kernels.writeRows(layout, vectors, Uint32Array.from(slots), encoderOf(shape), rows, codes)
        const free = Array.from({ length: 3 }, (_, i) => (slots[0]! + 1 + i) % SLOTS).filter(
          (slot) => !slots.includes(slot)
        )
        const read = new Float32Array((slots.length + free.length) * dimensions)
        kernels.readVectors(layout, Uint32Array.from([...slots, ...free]), rows, read)
        for (let i = 0; i < slots.length; i++) {
          const vector = vectors.subarray(i * dimensions, (i + 1) * dimensions)
          const length = metric === "cosine" ? Math.hypot(...vector) : 1
          const largest = vector.reduce((most, x) => Math.max(most, Math.abs(x / length)), 0)
          const tolerance =
            { f32: 1e-6, f16: 1e-3, int8: 0.51 / 127 }[precision as "f32" | "f16" | "int8"] * largest + 1e-7
          for (let c = 0; c < dimensions; c++) {
            assert.ok(Math.abs(read[i * dimensions + c]! - vector[c]! / length) <= tolerance)
          }
        }
        assert.ok(read.subarray(slots.length * dimensions).every((x) => x === 0))
      }
    ),
    { numRuns: 60 }
  )
})
