/** What was said of hits moves probabilities: most where it was said, less around it, and never for good. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { CacheFeedback, type FeedbackNote } from "../../../src/index.ts"
import { failsWith } from "../../failures.ts"

const noted = (...notes: ReadonlyArray<FeedbackNote>): CacheFeedback => {
  const feedback = new CacheFeedback()
  for (const note of notes) feedback.note(note)
  return feedback
}
const rejected = { entry: "a", cluster: "c", probability: 0.97, right: false }
const confirmed = { ...rejected, right: true }

test("without a word nothing changes", () => {
  assert.equal(noted().adjusted(0.97, { entry: "a", cluster: "c" }), 0.97)
})

test("a rejected entry is trusted least, its cluster less than others, and others less than before", () => {
  const feedback = noted(rejected)
  const [entry, cluster, other] = [
    feedback.adjusted(0.97, { entry: "a", cluster: "c" }),
    feedback.adjusted(0.97, { entry: "b", cluster: "c" }),
    feedback.adjusted(0.97, { entry: "b", cluster: "d" })
  ]
  assert.ok(entry < 0.9 && entry < cluster && cluster < other && other < 0.97, `${entry} ${cluster} ${other}`)
})

test("confirmations make an entry surer, and take a rejection back in time", () => {
  const often = (count: number) => Array.from({ length: count }, () => confirmed)
  const place = { entry: "a", cluster: "c" }
  assert.ok(noted(...often(20)).adjusted(0.9, place) > 0.9)
  const after = [0, 5, 50].map((count) => noted(rejected, ...often(count)).adjusted(0.97, place))
  assert.ok(after[0]! < after[1]! && after[1]! < after[2]!, after.join())
})

test("probabilities stay probabilities, and are the same after a round trip through JSON", () => {
  const note = fc.record({
    entry: fc.constantFrom("a", "b"),
    cluster: fc.option(fc.constantFrom("c", "d"), { nil: undefined }),
    probability: fc.double({ min: 0, max: 1, noNaN: true }),
    right: fc.boolean()
  })
  fc.assert(
    fc.property(fc.array(note, { maxLength: 30 }), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (notes, p) => {
      const adjusted = noted(...notes).adjusted(p, { entry: "a", cluster: "c" })
      assert.ok(adjusted >= 0 && adjusted <= 1)
      const restored = CacheFeedback.fromJSON(JSON.parse(JSON.stringify(noted(...notes))))
      assert.equal(restored.adjusted(p, { entry: "a", cluster: "c" }), adjusted)
    })
  )
})

test("a forgotten entry is a new one, and what it said of others stays", () => {
  const feedback = noted(rejected)
  feedback.forget("a")
  assert.equal(feedback.of("a").rejected, 0)
  assert.equal(
    feedback.adjusted(0.97, { entry: "a", cluster: "c" }),
    feedback.adjusted(0.97, { entry: "b", cluster: "c" })
  )
})

test("the estimate of wrong answers has an interval about it", () => {
  const feedback = noted(rejected, ...Array.from({ length: 99 }, () => confirmed))
  const { rate, low, high } = feedback.wrongOfServed()
  assert.equal(rate, 0.01)
  assert.ok(low > 0.0002 && low < 0.0003 && high > 0.054 && high < 0.055, `${low} ${high}`)
  const ofLookUps = feedback.wrongOfLookUps(50, 200)
  assert.equal(ofLookUps.high, high / 4)
})

test("anything but a written state is refused", () => {
  const state = noted(rejected).toJSON()
  for (const wrong of [undefined, null, 1, {}, { ...state, version: 2 }, { ...state, all: { confirmed: -1 } }]) {
    assert.throws(() => CacheFeedback.fromJSON(wrong), failsWith("InvalidParameter", "feedback"))
  }
})
