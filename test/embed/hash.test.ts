import assert from "node:assert/strict"
import { test } from "node:test"
import { crc32 } from "node:zlib"
import { hashEmbedder } from "../../src/core/embed/hash.ts"
import { embedderContract } from "../contract/embedder.ts"

embedderContract("hash", () => hashEmbedder())
embedderContract("hash, 64 dimensions", () => hashEmbedder({ dimensions: 64 }))

test("vectors keep their bits from release to release: a change of them is a change of the id", async () => {
  const golden: ReadonlyArray<readonly [text: string, crc: number]> = [
    ["a", 0x3268dc13],
    ["How do I reset my password?", 0x25effbd2],
    ["naïve Ωmega 北京 😀", 0x9bef58b3]
  ]
  const embedder = hashEmbedder()
  assert.equal(embedder.id, "hash-ngrams-512@1")
  for (const [text, crc] of golden) {
    const vector = await embedder.embed([text])
    assert.equal(crc32(new Uint8Array(vector.buffer)), crc, text)
  }
})

test("no pair of letters cancels out to nothing", async () => {
  const letters = Array.from("abcdefghijklmnopqrstuvwxyz")
  const texts = letters.flatMap((a) => letters.map((b) => `${a} ${b}`))
  const vectors = await hashEmbedder({ dimensions: 8 }).embed(texts)
  assert.equal(vectors.length, texts.length * 8)
})

test("a misspelt word stays near", async () => {
  const embedder = hashEmbedder()
  const vectors = await embedder.embed(["configuration of postgres", "configuraton of postgres", "weather in spring"])
  const cosine = (row: number) => {
    let sum = 0
    for (let c = 0; c < embedder.dimensions; c++) sum += vectors[c]! * vectors[row * embedder.dimensions + c]!
    return sum
  }
  assert.ok(cosine(1) > 0.7)
  assert.ok(cosine(2) < 0.2)
})

for (const dimensions of [0, 4, 12, -8, 8.5, Number.NaN, 8200]) {
  test(`${dimensions} dimensions are refused`, () => {
    assert.throws(() => hashEmbedder({ dimensions }), { _tag: "InvalidParameter", parameter: "dimensions" })
  })
}
