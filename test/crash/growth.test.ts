/** The soak says how memory grows: what it would say of memory that grows, and of memory that does not. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { randomBits } from "../property/kernels/random.ts"
import { growthOf } from "./growth.ts"

const COUNT = 240
const EVERY_MS = 1500
const FIRST = 300e6
const NOISE = 2e6
const TRIALS = 400
const SEED = 11

/** Growth of `percent` an hour under noise of which a part `kept` goes on into the next measurement. */
const measured = (percent: number, kept: number, bits: () => number): Float64Array => {
  let noise = 0
  return Float64Array.from({ length: COUNT }, (_, i) => {
    noise = kept * noise + NOISE * (bits() / 2 ** 31 - 1)
    return FIRST * (1 + (percent / 100) * ((i * EVERY_MS) / 3_600_000)) + noise
  })
}

test("a line is what it is, and certain", () => {
  const { first, percent, error } = growthOf(
    measured(7, 0, () => 2 ** 31),
    EVERY_MS
  )
  assert.ok(Math.abs(first / FIRST - 1) < 1e-9 && Math.abs(percent - 7) < 1e-6 && error < 1e-6)
})

for (const kept of [0, 0.8]) {
  test(`the truth is within two standard errors nine times in ten, with noise of which ${kept} stays`, () => {
    const bits = randomBits(SEED)
    for (const wanted of [0, 15]) {
      let within = 0
      for (let trial = 0; trial < TRIALS; trial++) {
        const { percent, error } = growthOf(measured(wanted, kept, bits), EVERY_MS)
        if (Math.abs(percent - wanted) < 2 * error) within++
      }
      assert.ok(within > 0.9 * TRIALS, `${within} of ${TRIALS}`)
    }
  })
}
