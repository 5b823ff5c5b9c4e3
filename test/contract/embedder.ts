/** What every embedder promises. An implementation's test calls `embedderContract` with itself. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Embedder } from "../../src/core/embed/embedder.ts"
import { Cancelled, EmptyEmbedding } from "../../src/core/errors.ts"

const SENTENCES = [
  "How do I reset my password?",
  "I forgot my password, how can I change it?",
  "The cat sat on the mat.",
  "x"
]

const rows = (vectors: Float32Array, dimensions: number): Array<Float32Array> =>
  Array.from({ length: vectors.length / dimensions }, (_, i) => vectors.slice(i * dimensions, (i + 1) * dimensions))

export const embedderContract = (name: string, make: () => Embedder | Promise<Embedder>): void => {
  describe(`embedder contract: ${name}`, () => {
    test("identity and dimensions are stated", async () => {
      const embedder = await make()
      assert.match(embedder.id, /\S/)
      assert.equal((await make()).id, embedder.id)
      assert.ok(Number.isInteger(embedder.dimensions) && embedder.dimensions > 0)
    })

    test("every vector has unit length", async () => {
      const embedder = await make()
      const vectors = await embedder.embed(SENTENCES)
      assert.ok(vectors instanceof Float32Array)
      assert.equal(vectors.length, SENTENCES.length * embedder.dimensions)
      for (const vector of rows(vectors, embedder.dimensions)) {
        const norm = vector.reduce((sum, component) => sum + component * component, 0)
        assert.ok(Math.abs(norm - 1) < 1e-5, `squared norm ${norm}`)
      }
    })

    test("no texts give no vectors", async () => {
      assert.equal((await (await make()).embed([])).length, 0)
    })

    test("a batch equals its texts one by one, in order", async () => {
      const embedder = await make()
      const batch = rows(await embedder.embed(SENTENCES), embedder.dimensions)
      for (const [i, text] of SENTENCES.entries()) assert.deepEqual(await embedder.embed([text]), batch[i])
      const reversed = rows(await embedder.embed(SENTENCES.toReversed()), embedder.dimensions)
      assert.deepEqual(reversed.toReversed(), batch)
    })

    test("the same texts give the same bits, also from another instance and in concurrent calls", async () => {
      const embedder = await make()
      const another = await make()
      const [a, b, c] = await Promise.all([
        embedder.embed(SENTENCES),
        embedder.embed(SENTENCES),
        another.embed(SENTENCES)
      ])
      assert.deepEqual(b, a)
      assert.deepEqual(c, a)
    })

    test("a paraphrase is nearer than another subject", async () => {
      const embedder = await make()
      const [query, paraphrase, other] = rows(await embedder.embed(SENTENCES), embedder.dimensions)
      const cosine = (x: Float32Array) => x.reduce((sum, component, i) => sum + component * query![i]!, 0)
      assert.ok(cosine(paraphrase!) > cosine(other!))
    })

    test("composed and decomposed forms are one text", async () => {
      const embedder = await make()
      const text = "Crème brûlée à la façon de Zoë, 한국어"
      assert.deepEqual(await embedder.embed([text.normalize("NFC")]), await embedder.embed([text.normalize("NFD")]))
    })

    test("lone surrogates, controls and rare scripts are no failure beside a word", async () => {
      const embedder = await make()
      const texts = ["word \ud800", "\udc00 word", "word \u0000\u0007", "word 𐎠𐎡 😀", "word\u2028word", "word \u0301"]
      assert.equal((await embedder.embed(texts)).length, texts.length * embedder.dimensions)
    })

    test("a text without words is refused by its position", async () => {
      const embedder = await make()
      for (const empty of ["", " \t\n\u00a0", "\u0301"]) {
        await assert.rejects(embedder.embed(["one", "two", empty, "four"]), (error) => {
          assert.ok(error instanceof EmptyEmbedding)
          assert.equal(error.index, 2)
          assert.equal(error.text, empty)
          return true
        })
      }
    })

    test("an aborted signal rejects before and during the work", async () => {
      const embedder = await make()
      await assert.rejects(embedder.embed(SENTENCES, { signal: AbortSignal.abort() }), Cancelled)
      const controller = new AbortController()
      const texts = Array.from({ length: 10_000 }, (_, i) => `${SENTENCES[i % SENTENCES.length]} ${i}`)
      const running = embedder.embed(texts, { signal: controller.signal })
      setTimeout(() => controller.abort(), 1)
      await assert.rejects(running, Cancelled)
    })

    test("10,000 texts in one batch", async () => {
      const embedder = await make()
      const texts = Array.from({ length: 10_000 }, (_, i) => `${SENTENCES[i % SENTENCES.length]} number ${i}`)
      const vectors = await embedder.embed(texts)
      assert.equal(vectors.length, texts.length * embedder.dimensions)
      for (const i of [0, 1, 4_999, 9_999]) {
        const row = vectors.slice(i * embedder.dimensions, (i + 1) * embedder.dimensions)
        assert.deepEqual(row, await embedder.embed([texts[i]!]))
      }
    })
  })
}
