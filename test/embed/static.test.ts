import assert from "node:assert/strict"
import { test } from "node:test"
import { setImmediate } from "node:timers/promises"
import { crc32 } from "node:zlib"
import { Piscina } from "piscina"
import type { RunTask } from "../../src/core/embed/embedder.ts"
import { staticEmbedder } from "../../src/core/embed/static.ts"
import type { EmbedTask } from "../../src/core/embed/static-encode.ts"
import { staticTable } from "../../src/core/embed/table.ts"
import { WordPieces } from "../../src/core/embed/word-piece.ts"
import { EmptyEmbedding } from "../../src/core/errors.ts"
import { embedTexts } from "../../src/workers/embed.ts"
import { embedderContract } from "../contract/embedder.ts"

/** What a hop to a worker thread does to a task: everything is cloned but shared memory. */
const hop: RunTask = async <A>(_name: string, task: object) => {
  await setImmediate()
  return embedTexts(structuredClone(task as EmbedTask)) as A
}

embedderContract("static", () => staticEmbedder())
embedderContract("static, in workers", () => {
  const embedder = staticEmbedder()
  return { ...embedder, embed: (texts, options) => embedder.embed(texts, { ...options, run: hop }) }
})

test("vectors keep their bits from release to release: a change of them is a change of the id", async () => {
  const golden: ReadonlyArray<readonly [text: string, crc: number]> = [
    ["a", 0x2b8e16ba],
    ["How do I reset my password?", 0x5261450b],
    ["naïve Ωmega 北京 😀", 0xb45071b]
  ]
  const embedder = staticEmbedder()
  assert.equal(embedder.id, "static-minilm-l6-v2-256@1")
  for (const [text, crc] of golden) {
    const vector = await embedder.embed([text])
    assert.equal(crc32(new Uint8Array(vector.buffer)), crc, text)
  }
})

test("words are cut into the longest pieces", async () => {
  const pieces = new WordPieces((await staticTable()).vocabulary)
  const ids = (text: string) => {
    pieces.tokenise(text)
    return [...pieces.ids.subarray(0, pieces.count)]
  }
  // Lines of vocab.txt, from 0: hello; em ##bed ##ding ##s and the exclamation mark.
  assert.deepEqual(ids("hello"), [7592])
  assert.deepEqual(ids("Embeddings!"), [7861, 8270, 4667, 2015, 999])
  assert.deepEqual(ids("ÉCLAIR"), ids("eclair"))
  assert.deepEqual(ids("[CLS]"), ids("[ cls ]"))
})

test("a word that no pieces make up is skipped whole", async () => {
  const [known, mixed] = await Promise.all([
    staticEmbedder().embed(["hello world"]),
    staticEmbedder().embed(["hello hello\u{10380} world"])
  ])
  assert.deepEqual(mixed, known)
  await assert.rejects(staticEmbedder().embed(["\u{10380}\u{10381}"]), EmptyEmbedding)
})

test("a megabyte without a space is one word of many pieces", async () => {
  const vectors = await staticEmbedder().embed(["ab1".repeat(350_000)])
  assert.equal(vectors.length, 256)
})

test("worker threads write the same bits straight into the result", async () => {
  const pool = new Piscina({
    filename: new URL("../../src/workers/embed.ts", import.meta.url).href,
    minThreads: 2,
    maxThreads: 2
  })
  try {
    const texts = Array.from({ length: 3_000 }, (_, i) => `what is the capital of country number ${i}?`)
    const vectors = await staticEmbedder().embed(texts, { run: (name, task) => pool.run(task, { name }) })
    assert.ok(vectors.buffer instanceof SharedArrayBuffer)
    assert.deepEqual(new Float32Array(vectors), await staticEmbedder().embed(texts))
  } finally {
    await pool.destroy()
  }
})

test("a batch that a worker refuses names the text in the whole batch", async () => {
  const texts = Array.from({ length: 5_000 }, (_, i) => (i === 4_321 ? " " : `text number ${i}`))
  await assert.rejects(staticEmbedder().embed(texts, { run: hop }), { _tag: "EmptyEmbedding", index: 4_321, text: " " })
})

test("a failing worker fails the batch once and starts no further tasks", async () => {
  let started = 0
  const run = () => {
    started++
    return Promise.reject(new Error("worker gone"))
  }
  const texts = Array.from({ length: 50_000 }, (_, i) => `text number ${i}`)
  await assert.rejects(staticEmbedder().embed(texts, { run }), /worker gone/)
  assert.ok(started < 26, `${started} tasks`)
})

test("short batches stay on the calling thread", async () => {
  const run = () => assert.fail("a hop costs more than this")
  assert.equal((await staticEmbedder().embed(["short"], { run })).length, 256)
})

test("the event loop turns while a long batch is encoded", async () => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await staticEmbedder().embed(Array.from({ length: 10_000 }, (_, i) => `what is the capital of country number ${i}?`))
  clearInterval(timer)
  assert.ok(turns > 5, `${turns} turns`)
})
