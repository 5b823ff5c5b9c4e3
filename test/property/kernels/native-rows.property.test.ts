/** Every native variant writes, encodes, reads and checks rows as the scalar kernels do, to the bit. */
import assert from "node:assert/strict"
import fc from "fast-check"
import { scalar } from "../../../src/core/kernels/scalar.ts"
import { METRICS } from "../../../src/core/store/layout.ts"
import { testEveryIsa } from "./addon.ts"
import { randomBits, randomBytes, randomVectors } from "./random.ts"
import {
  emptySegment,
  encoderOf,
  filledSegment,
  layoutOf,
  productShape,
  shape,
  slotsOf,
  vectorsOf
} from "./segments.ts"

const RUNS = 60
/** Largest magnitude that is allowed. */
const LIMIT = 2 ** 60

const assertSameBytes = (actual: Uint8Array, expected: Uint8Array, what: string) => {
  if (Buffer.compare(actual, expected) === 0) return
  const at = actual.findIndex((byte, i) => byte !== expected[i])
  assert.fail(`${what} differ first at byte ${at}: ${actual[at]} for ${expected[at]}`)
}

/** Half of the components come to lie half way between two halves. */
const cutToTies = (vectors: Float32Array) => {
  const bits = new Uint32Array(vectors.buffer)
  for (let i = 0; i < bits.length; i++) bits[i] = bits[i]! & ~0xfff
}

testEveryIsa("matmul", (native) => {
  const sizes = fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 70 }), fc.nat({ max: 300 }))
  fc.assert(
    fc.property(fc.nat(), sizes, (seed, [m, k, n]) => {
      const a = randomVectors(seed, m * k, "mixed")
      const b = randomVectors(~seed, k * n, "mixed")
      const actual = new Float32Array(m * n)
      const expected = new Float32Array(m * n)
      native.matmul(a, b, actual, m, k, n)
      scalar.matmul(a, b, expected, m, k, n)
      assert.deepEqual(actual, expected)
    })
  )
})

testEveryIsa("writeRows", (native) => {
  fc.assert(
    fc.property(fc.oneof(shape(), productShape()), fc.nat({ max: 150 }), (drawn, count) => {
      const actual = emptySegment(drawn)
      const expected = emptySegment(drawn)
      const slots = slotsOf(drawn.seed, count)
      const encoder = encoderOf(drawn)
      // Components that are exactly zero have a sign too.
      for (let at = drawn.dimensions + (drawn.seed % 251); at < encoder.length; at += 256) encoder.fill(0, at, at + 3)
      // The second writing meets slots that are in use.
      for (const kind of [drawn.kind, "ordinary"] as const) {
        const vectors = vectorsOf(drawn, drawn.seed, count, kind)
        if (drawn.seed % 2 === 0 && kind !== "denormal") cutToTies(vectors)
        native.writeRows(layoutOf(drawn), vectors, slots, encoder, actual.rows, actual.codes)
        scalar.writeRows(layoutOf(drawn), vectors, slots, encoder, expected.rows, expected.codes)
        assertSameBytes(actual.rows, expected.rows, "rows")
        assertSameBytes(actual.codes, expected.codes, "codes")
      }
    }),
    { numRuns: RUNS }
  )
})

testEveryIsa("encodeStored", (native) => {
  const ranges = fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 150 }))
  const stored = fc.oneof(...[shape, productShape].map((shape) => shape(METRICS, ["f32", "f16", "int8"])))
  fc.assert(
    fc.property(stored, ranges, (drawn, [from, length]) => {
      const segment = filledSegment(drawn, drawn.seed, 120)
      const encoder = encoderOf({ ...drawn, seed: ~drawn.seed })
      const actual = emptySegment(drawn).codes
      const expected = emptySegment(drawn).codes
      native.encodeStored(layoutOf(drawn), from, from + length, encoder, segment.rows, actual)
      scalar.encodeStored(layoutOf(drawn), from, from + length, encoder, segment.rows, expected)
      assertSameBytes(actual, expected, "codes")
    }),
    { numRuns: RUNS }
  )
})

testEveryIsa("readVectors", (native) => {
  fc.assert(
    fc.property(shape(METRICS, ["f32", "f16", "int8"]), fc.nat({ max: 150 }), (drawn, count) => {
      const segment = filledSegment(drawn, drawn.seed, 120)
      const slots = slotsOf(drawn.seed, count)
      const actual = new Float32Array(count * drawn.dimensions)
      const expected = new Float32Array(count * drawn.dimensions)
      native.readVectors(layoutOf(drawn), slots, segment.rows, actual)
      scalar.readVectors(layoutOf(drawn), slots, segment.rows, expected)
      assert.deepEqual(actual, expected)
    }),
    { numRuns: RUNS }
  )
})

testEveryIsa("checkVectors", (native) => {
  const { NaN: none, NEGATIVE_INFINITY, POSITIVE_INFINITY } = Number
  const flaw = fc.constantFrom(0, 1e20, -1e20, LIMIT, -LIMIT, POSITIVE_INFINITY, NEGATIVE_INFINITY, none, 2 ** -149)
  const sizes = fc.tuple(fc.integer({ min: 1, max: 70 }), fc.nat({ max: 6 }))
  fc.assert(
    fc.property(fc.nat(), sizes, fc.array(flaw, { maxLength: 4 }), (seed, [dimensions, count], flaws) => {
      const vectors = randomVectors(seed, dimensions * count)
      const bits = randomBits(seed)
      if (count > 0 && seed % 2 === 0) {
        const zero = bits() % count
        vectors.fill(0, zero * dimensions, (zero + 1) * dimensions)
      }
      for (const value of flaws) if (count > 0) vectors[bits() % vectors.length] = value
      const limit = seed % 3 === 0 ? LIMIT : 1e30
      assert.equal(native.checkVectors(vectors, dimensions, limit), scalar.checkVectors(vectors, dimensions, limit))
    }),
    { numRuns: 1_000 }
  )
})

testEveryIsa("crc32c", async (native) => {
  const sizes = fc.tuple(fc.nat({ max: 5_000 }), fc.nat({ max: 70 }), fc.integer({ min: 1, max: 2_000 }))
  await fc.assert(
    fc.asyncProperty(fc.nat(), sizes, async (seed, [length, skip, blockBytes]) => {
      const bytes = randomBytes(seed, length + skip).subarray(skip)
      assert.equal(native.crc32c(bytes), scalar.crc32c(bytes))
      const actual = new Uint32Array(Math.ceil(length / blockBytes))
      const expected = new Uint32Array(actual.length)
      native.crc32cBlocks(bytes, blockBytes, actual)
      scalar.crc32cBlocks(bytes, blockBytes, expected)
      assert.deepEqual(actual, expected)
      if (seed % 2 === 0 && length > 0) expected[seed % expected.length] = ~expected[seed % expected.length]!
      const first = await scalar.verifyBlocks(bytes, blockBytes, expected)
      assert.equal(await native.verifyBlocks(bytes, blockBytes, expected), first)
    })
  )
})
