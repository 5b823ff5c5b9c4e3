import assert from "node:assert/strict"
import { test } from "node:test"
import { Places } from "../src/core/places.ts"

const settle = () => new Promise(setImmediate)

test("so many are at work at a time, in the order in which they came, whether they succeed or not", async () => {
  const places = new Places(2)
  const begun: Array<number> = []
  const ends: Array<() => void> = []
  const all = Array.from({ length: 6 }, (_, i) =>
    places.within(async () => {
      begun.push(i)
      await new Promise<void>((end) => ends.push(end))
      if (i % 2 === 1) throw new Error(`${i}`)
      return i
    })
  )
  const settled = Promise.allSettled(all)
  for (let ended = 0; ended < 6; ended++) {
    await settle()
    assert.deepEqual(begun, [0, 1, 2, 3, 4, 5].slice(0, Math.min(6, ended + 2)))
    ends[ended]!()
  }
  const outcomes = (await settled).map((outcome) =>
    outcome.status === "fulfilled" ? outcome.value : outcome.reason.message
  )
  assert.deepEqual(outcomes, [0, "1", 2, "3", 4, "5"])
})
