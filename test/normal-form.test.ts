/** Normal forms: those of Unicode, in a time that anybody's text may take. */
import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { semanticCache } from "../src/cache.ts"
import { normalForm } from "../src/core/normal-form.ts"
import { open } from "../src/index.ts"

const FORMS = ["NFC", "NFD", "NFKD"] as const
/** Marks of two classes, which are put in order, one of two code units among them. */
const MARKS = ["\u0301", "\u0323", "\u0344", "\u{1e8d0}"] as const
/** The voice marks of halfwidth kana, of which NFKD alone makes marks. */
const VOICED = ["\uff9e", "\uff9f"] as const

test("texts of any script have the normal forms of Unicode, up to 30 marks in a row", () => {
  const marks = fc.array(fc.constantFrom(...MARKS), { maxLength: 30 }).map((all) => all.join(""))
  const character = fc.oneof(
    fc.string({ unit: "binary", maxLength: 1 }).filter((text) => !/\p{M}/u.test(text)),
    fc.constantFrom("e", "\u00e9", "\uff76\uff9e", "\u1112\u1161\u11ab", "\ud800", "\ufb01")
  )
  // Between two runs of marks there is always something else.
  const pieces = fc.array(fc.tuple(character, marks, fc.constantFrom("a", "\u00fc", "\u4e00")))
  fc.assert(
    fc.property(pieces, (all) => {
      const text = all.map((piece) => piece.join("")).join("")
      for (const form of FORMS) assert.equal(normalForm(text, form), text.normalize(form))
    })
  )
})

test("more marks in a row are all kept, and the same text stays the same", () => {
  for (const form of FORMS) {
    const text = `a${"\u0301\u0323".repeat(500)}b`
    const normal = normalForm(text, form)
    assert.equal(normal.normalize("NFD"), text.normalize("NFD"))
    assert.equal(normalForm(text, form), normal)
  }
})

test("letters that become marks are cut as these are", () => {
  const start = performance.now()
  for (const form of FORMS) for (const voiced of VOICED) normalForm(`a${`\u0301${voiced}`.repeat(100_000)}`, form)
  assert.ok(performance.now() - start < 5000)
})

test("a question that is nothing but marks is looked for and kept soon", async () => {
  await using db = await open(":memory:")
  await using cache = await semanticCache(db)
  const prompt = `How do I reset my password${"\u0301\u0323".repeat(60_000)}?`
  await cache.set({ prompt: "How do I reset my password?" }, 1)
  const start = performance.now()
  await cache.get({ prompt })
  await cache.set({ prompt }, 2)
  const found = await cache.get({ prompt })
  assert.equal(found.isHit && found.value, 2)
  assert.ok(performance.now() - start < 5000)
})
