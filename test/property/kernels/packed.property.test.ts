/** Every native variant finds in rows and keys of an image what the scalar definition finds. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { checkRows, countKeys, recordFits } from "../../../src/core/kernels/packed.ts"
import { testEveryIsa } from "./addon.ts"
import { randomBits } from "./random.ts"

const SLOTS = 300

/** Records of `units` units each, laid out one after another: their words, and where each starts. */
const recordsOf = (units: ReadonlyArray<number>) => {
  const total = units.reduce((sum, count) => sum + count, 0)
  const packed = new Uint32Array(2 * total)
  const starts: Array<number> = []
  let start = 0
  for (const count of units) {
    packed.set([0, 8 * count - 16 - 3, 3, count], 2 * start)
    starts.push(start)
    start += count
  }
  return { packed, starts }
}

const images = fc.record({
  seed: fc.nat(),
  units: fc.array(fc.integer({ min: 3, max: 9 }), { minLength: 1, maxLength: 20 }),
  rows: fc.integer({ min: 0, max: SLOTS }),
  range: fc.tuple(fc.nat({ max: SLOTS }), fc.nat({ max: SLOTS })),
  // A word of the records that is made to say something else.
  damage: fc.option(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1)))
})

testEveryIsa("rows of an image", (native) => {
  fc.assert(
    fc.property(images, ({ seed, units, rows, range, damage }) => {
      const { packed, starts } = recordsOf(units)
      const live = new Int32Array(Math.ceil(SLOTS / 32))
      const next = randomBits(seed)
      const addresses = new Uint32Array(SLOTS)
      for (let slot = 0; slot < rows; slot++) {
        if (next() % 4 === 0) continue
        live[slot >>> 5]! |= 1 << (slot & 31)
        addresses[slot] = starts[(seed + slot) % starts.length]!
      }
      if (damage) packed[damage[0] % packed.length] = damage[1]
      if (seed % 4 === 0) addresses[seed % SLOTS] = seed % 5
      if (seed % 5 === 0) live[(seed % SLOTS) >>> 5]! |= 1 << (seed % 32)
      const [from, to] = range.toSorted((a, b) => a - b) as [number, number]
      const found = native.checkRows(live, addresses, packed, rows, from, to)
      assert.equal(found, checkRows(live, addresses, packed, rows, from, to))
    }),
    { numRuns: 500 }
  )
  const one = recordsOf([3])
  const call = (slots: number, to: number) =>
    native.checkRows(new Int32Array(1), new Uint32Array(slots), one.packed, slots, 0, to)
  assert.throws(() => call(32, 33), /slots outside their columns/)
  assert.throws(() => call(40, 40), /slots outside their columns/)
})

testEveryIsa("keys of an image", (native) => {
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 60 }), fc.integer({ min: 1, max: 80 }), (seed, length, bound) => {
      const keys = Uint32Array.from({ length }, (_, i) => ((seed % 1000) * (i + 7) * 2_654_435) % bound)
      const [from, to] = [seed % (length + 1), length]
      assert.equal(native.countKeys(keys, 40, from, to), countKeys(keys, 40, from, to))
    })
  )
  assert.throws(() => native.countKeys(new Uint32Array(4), 9, 0, 5), /slots outside the index/)
})

test("a record fits when header, key, payload and capacity lie inside", () => {
  const { packed, starts } = recordsOf([4, 3])
  assert.deepEqual(
    [...starts, 6, 7, 2 ** 32 - 1].map((start) => recordFits(packed, start)),
    [true, true, false, false, false]
  )
  const grown = packed.slice()
  grown[2 * 4 + 1]! += 1
  assert.equal(recordFits(grown, 4), false, "a payload beyond the capacity")
  const longer = packed.slice()
  longer[2 * 4 + 3] = 4
  assert.equal(recordFits(longer, 4), false, "a capacity beyond the end")
})

test("rows and keys that an image may not have", () => {
  const { packed } = recordsOf([3, 3])
  const addresses = Uint32Array.of(0, 3, 0, 0)
  assert.equal(checkRows(Int32Array.of(0b11), addresses, packed, 2, 0, 4), -1)
  assert.equal(checkRows(Int32Array.of(0b01), addresses, packed, 2, 0, 4), 1, "an address without a live bit")
  assert.equal(checkRows(Int32Array.of(0b11), addresses, packed, 1, 0, 4), 1, "live beyond the rows in use")
  assert.equal(checkRows(Int32Array.of(0b11), Uint32Array.of(0, 5), packed, 2, 0, 2), 1, "a record that does not fit")
  assert.equal(countKeys(Uint32Array.of(0, 2, 1), 2, 0, 3), 2)
  assert.equal(countKeys(Uint32Array.of(0, 3, 1), 2, 0, 3), -1)
})
