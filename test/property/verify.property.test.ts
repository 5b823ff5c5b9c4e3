/** Gates and features over every text: symmetric, blind to how Unicode writes the same, and never at a loss. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Alignment } from "../../src/core/cache/verify/alignment.ts"
import { Analysis, MOST_UNITS, MOST_WORDS } from "../../src/core/cache/verify/analysis.ts"
import { refusingGate } from "../../src/core/cache/verify/gates.ts"
import { Judging, MOST_JUDGED } from "../../src/core/cache/verify/judging.ts"
import { learnedVerifier } from "../../src/core/cache/verify/learned.ts"
import { Reader } from "../../src/core/cache/verify/reader.ts"
import type { Candidate, Gate } from "../../src/core/cache/verify/verifier.ts"
import { staticTable } from "../../src/core/embed/table.ts"

const table = await staticTable()
const reader = new Reader(table, MOST_UNITS)
const [first, second] = [new Analysis(reader), new Analysis(reader)]
const alignment = new Alignment()
const judging = new Judging(table)
const verifier = learnedVerifier()
/** Reads the model: from then on judgements come at once. */
const loaded = async () => verifier.verify("", [], 0)

const gateOf = (a: string, b: string): Gate | undefined => {
  first.read(a)
  second.read(b)
  alignment.align(first, second)
  return refusingGate(first, second, alignment)
}

/** Words that gates know, words that they do not, numbers, names, code and broken text. */
const word = fc.oneof(
  fc.constantFrom("not", "don't", "without", "never", "unable", "legal", "illegal", "enable", "disable", "on", "off"),
  fc.constantFrom("from", "to", "than", "by", "before", "after", "and", "the", "a", "is", "do", "I", "how", "what"),
  fc.constantFrom("Paris", "Oslo", "USA", "iPhone", "user_id", "Array.map", "--force", "/api/x", "v1.4.2", "II"),
  fc.constantFrom("3", "30", "1,000", "2.5", "7:45", "5k", "12V", "one", "twenty", "hundred", "km", "days", "%", "$"),
  fc.constantFrom("convert", "cat", "dog", "chase", "better", "worse", "JSON", "YAML", "weight", "money", "zzyzx"),
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.string({ unit: "grapheme", maxLength: 6 })
)
const sentence = fc.array(word, { maxLength: 14 }).map((words) => words.join(" "))

test("a gate refuses both ways or neither", () => {
  fc.assert(
    fc.property(sentence, sentence, (a, b) => {
      assert.equal(gateOf(a, b), gateOf(b, a))
    }),
    { numRuns: 3000 }
  )
})

test("which of a word's repetitions has a partner does not depend on who is asked", () => {
  assert.equal(gateOf("not legal not", "legal not"), gateOf("legal not", "not legal not"))
})

test("no gate refuses a text for itself", () => {
  fc.assert(
    fc.property(sentence, (text) => {
      assert.equal(gateOf(text, text), undefined)
    }),
    { numRuns: 1000 }
  )
})

test("composed, decomposed and wide forms of a text are the same text", () => {
  const wide = (text: string) =>
    text.replace(/[!-~]/g, (character) => String.fromCharCode(character.charCodeAt(0) + 0xfee0))
  fc.assert(
    fc.property(sentence, sentence, (a, b) => {
      const expected = gateOf(a, b)
      for (const form of ["NFC", "NFD"]) assert.equal(gateOf(a.normalize(form), b), expected)
      assert.equal(gateOf(wide(a.normalize("NFKD")), b), gateOf(a.normalize("NFKD"), b))
    }),
    { numRuns: 500 }
  )
})

const candidate: fc.Arbitrary<Candidate> = fc.record({
  text: sentence,
  similarity: fc.double({ min: -1, max: 1, noNaN: true })
})

test("every judgement is whole: each of the nearest candidates is refused or no better than the best", async () => {
  await loaded()
  fc.assert(
    fc.property(sentence, fc.array(candidate, { maxLength: 8 }), fc.nat(1e6), (query, candidates, cached) => {
      const sorted = candidates.toSorted((a, b) => b.similarity - a.similarity)
      const judgement = verifier.verify(query, sorted, cached)
      assert.ok(!(judgement instanceof Promise))
      const { best, refused } = judgement
      const judged = Math.min(MOST_JUDGED, candidates.length)
      const indices = refused.map(({ index }) => index)
      assert.deepEqual(
        indices,
        indices.toSorted((a, b) => a - b)
      )
      assert.equal(best === undefined, refused.length === judged)
      if (best === undefined) return
      assert.ok(best.index < judged && !indices.includes(best.index))
      assert.ok(best.probability > 0 && best.probability < 1, `${best.probability}`)
    }),
    { numRuns: 500 }
  )
})

test("features are finite whatever the texts are", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), sentence, (query, text) => {
      judging.read(query, [{ text, similarity: 0.5 }], 10)
      assert.ok(judging.features.every(Number.isFinite))
    }),
    { numRuns: 500 }
  )
})

const MILLION = 1_000_000
const HOSTILE: ReadonlyArray<readonly [name: string, text: string]> = [
  ["one word", "a".repeat(MILLION)],
  ["words of one letter", "a ".repeat(MILLION / 2)],
  ["negations", "not ".repeat(MILLION / 4)],
  ["digits", "9".repeat(MILLION)],
  ["numbers joined by dots", "1.".repeat(MILLION / 2)],
  ["marks", "e\u0301".repeat(MILLION / 2)],
  ["marks alone", "\u0301".repeat(MILLION)],
  ["one that grows when normalised", "\ufdfa".repeat(MILLION)],
  ["lone surrogates", "\ud800".repeat(MILLION)],
  ["emoji", "\u{1f600}".repeat(MILLION / 2)],
  ["spaces", " ".repeat(MILLION)],
  ["underscores", "_".repeat(MILLION)],
  ["nul", "\0".repeat(MILLION)]
]

for (const [name, text] of HOSTILE) {
  test(`of a megabyte of ${name} no more is read than of a page`, async () => {
    await loaded()
    first.read(text)
    assert.ok(first.count <= MOST_WORDS && first.length <= MOST_UNITS)
    assert.equal(first.isWhole, false)
    const similar = [`${text}b`, "What is it?"].map((other) => ({ text: other, similarity: 0.99 }))
    assert.deepEqual(verifier.verify(text, similar, 10), {
      best: undefined,
      refused: [
        { index: 0, gate: "unsure" },
        { index: 1, gate: "unsure" }
      ]
    })
  })
}

test("a long text is served for itself", async () => {
  await loaded()
  const text = "a long prompt ".repeat(1000)
  const judgement = verifier.verify(text, [{ text, similarity: 1 }], 10)
  assert.ok(!(judgement instanceof Promise))
  assert.equal(judgement.best?.index, 0)
})
