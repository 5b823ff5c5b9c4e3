/** Bounded selection against sorting everything. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { TopRows } from "../../../src/core/kernels/select.ts"

test("the best rows in order, ties by row, whatever the order of arrival", () => {
  const { NEGATIVE_INFINITY, POSITIVE_INFINITY, NaN: none } = Number
  const score = fc.constantFrom(NEGATIVE_INFINITY, -2, -0, 0, 0.25, 1, 3, POSITIVE_INFINITY, none)
  fc.assert(
    fc.property(fc.array(score, { maxLength: 60 }), fc.nat({ max: 70 }), fc.nat(), (scores, capacity, seed) => {
      const best = new TopRows(capacity)
      const arrival = scores.map((_, row) => row).sort((a, b) => ((a * 31 + seed) % 61) - ((b * 31 + seed) % 61))
      for (const row of arrival) best.offer(scores[row]!, row)
      const expected = scores
        .map((value, row) => ({ value, row }))
        .filter(({ value }) => !Number.isNaN(value))
        .sort((a, b) => (a.value === b.value ? a.row - b.row : b.value - a.value))
        .slice(0, capacity)
      const taken = best.take()
      assert.deepEqual(
        Array.from(taken.rows),
        expected.map(({ row }) => row)
      )
      assert.deepEqual(
        Array.from(taken.scores, (value) => value + 0),
        expected.map(({ value }) => value + 0)
      )
    }),
    { numRuns: 1_000 }
  )
})
