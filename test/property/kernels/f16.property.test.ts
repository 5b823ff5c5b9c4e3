/** Half precision against its definition. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { f16Values, toF16 } from "../../../src/core/kernels/f16.ts"

const values = f16Values()
const INFINITY_HALF = 0x7c00

test("every half comes back from its value", () => {
  for (let half = 0; half < 65_536; half++) {
    if ((half & 0x7fff) > INFINITY_HALF) {
      assert.ok(Number.isNaN(values[half]))
      assert.ok(Number.isNaN(values[toF16(values[half]!)]))
    } else assert.equal(toF16(values[half]!), half)
  }
})

test("known values", () => {
  assert.equal(values[0x3c00], 1)
  assert.equal(values[0xc000], -2)
  assert.equal(values[0x7bff], 65_504)
  assert.equal(values[0x0001], 2 ** -24)
  assert.equal(values[0x0400], 2 ** -14)
  assert.equal(toF16(65_519.996), 0x7bff)
  assert.equal(toF16(65_520), INFINITY_HALF)
  assert.equal(toF16(2 ** -25), 0)
  assert.equal(toF16(2 ** -25 * 1.001), 1)
})

test("between two halves the nearer wins, and the even one half way", () => {
  fc.assert(
    fc.property(fc.nat({ max: 0x7bfe }), fc.double({ min: 0, max: 1, noNaN: true }), (half, fraction) => {
      const low = values[half]!
      const high = values[half + 1]!
      const value = Math.fround(low + (high - low) * fraction)
      const even = half % 2 === 0 ? half : half + 1
      const nearest = value - low < high - value ? half : value - low > high - value ? half + 1 : even
      assert.equal(toF16(value), nearest)
      assert.equal(toF16(-value), nearest | 0x8000)
      assert.equal(toF16((low + high) / 2), even)
    }),
    { numRuns: 5_000 }
  )
})
