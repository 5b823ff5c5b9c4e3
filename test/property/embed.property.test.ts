/**
 * The packed tokeniser against its definition, and the encoder against naive sums.
 *
 * Texts mix words of the vocabulary, glued words, marks, scripts and broken surrogates: that is
 * where the fast path for ASCII, the packed index and the greedy cut can differ from the words
 * of the definition.
 */
import assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { test } from "node:test"
import fc from "fast-check"
import { StaticEncoder } from "../../src/core/embed/static-encode.ts"
import { staticTable } from "../../src/core/embed/table.ts"
import { WordPieces } from "../../src/core/embed/word-piece.ts"
import { Words } from "../../src/core/embed/words.ts"

const vocabulary = await readFile(new URL("../../data/static-embedder/vocab.txt", import.meta.url), "utf8")
const lines = vocabulary.trimEnd().split("\n")
const idOf = new Map(lines.map((piece, id) => [piece, id]))
const table = await staticTable()

/** The definition: NFD, marks stripped, lower-cased; runs of letters and digits, and single other characters. */
const wordsOf = (text: string): Array<string> =>
  text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []

/** The definition: longest match first, `##` for a continuation, nothing for a word with a part that matches nothing. */
const piecesOf = (word: string): Array<number> => {
  const ids: Array<number> = []
  for (let from = 0; from < word.length; ) {
    const mark = from > 0 ? "##" : ""
    let to = word.length
    while (to > from && !idOf.has(mark + word.slice(from, to))) to--
    if (to === from) return []
    ids.push(idOf.get(mark + word.slice(from, to))!)
    from = to
  }
  return ids
}

const fragment = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...lines).map((piece) => piece.replace(/^##/, "")) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      " ",
      "\n",
      "\u00a0",
      "\u2028",
      "\u0000",
      "-",
      "#",
      "##",
      "[",
      "İ",
      "ß",
      "Σ",
      "Å",
      "²",
      "½"
    )
  },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 6 }) },
  { weight: 1, arbitrary: fc.constantFrom("\ud800", "\udc00", "\u0301", "😀", "𐎠", "한국", "北京", "नमस्ते") }
)
const text = fc
  .array(fc.tuple(fragment, fc.boolean(), fc.boolean()), { maxLength: 20 })
  .map((parts) =>
    parts.map(([part, glued, upper]) => (upper ? part.toUpperCase() : part) + (glued ? "" : " ")).join("")
  )

test("words equal the regular expression's", () => {
  const words = new Words()
  fc.assert(
    fc.property(text, (sample) => {
      words.split(sample)
      const got = Array.from({ length: words.count }, (_, i) =>
        String.fromCharCode(...words.units.subarray(words.bounds[2 * i], words.bounds[2 * i + 1]))
      )
      assert.deepEqual(got, wordsOf(sample))
    }),
    { numRuns: 2000 }
  )
})

test("pieces equal the greedy definition's", () => {
  const pieces = new WordPieces(table.vocabulary)
  fc.assert(
    fc.property(text, (sample) => {
      pieces.tokenise(sample)
      assert.deepEqual([...pieces.ids.subarray(0, pieces.count)], wordsOf(sample).flatMap(piecesOf))
    }),
    { numRuns: 2000 }
  )
})

test("every code unit alone is split as the regular expression does", () => {
  const words = new Words()
  for (let unit = 0; unit < 65_536; unit++) {
    const character = String.fromCharCode(unit)
    words.split(character)
    assert.equal(words.count, wordsOf(character).length, unit.toString(16))
  }
})

test("a vector is the mean of its pieces' rows, at unit length", () => {
  const encoder = new StaticEncoder(table)
  const got = new Float32Array(table.dimensions)
  fc.assert(
    fc.property(text, (sample) => {
      const ids = wordsOf(sample).flatMap(piecesOf)
      assert.equal(encoder.encode(sample, got, 0), ids.length > 0)
      if (ids.length === 0) return
      const mean = Array.from({ length: table.dimensions }, (_, c) => {
        const sum = ids.reduce((total, id) => total + table.codes[id * table.dimensions + c]! * table.scales[id]!, 0)
        return sum / ids.length
      })
      const norm = Math.hypot(...mean)
      for (const [c, component] of mean.entries()) assert.ok(Math.abs(got[c]! - component / norm) < 1e-7)
    }),
    { numRuns: 500 }
  )
})
