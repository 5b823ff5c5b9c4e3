/** Everything that can be an embedder: functions and objects, and the models of the AI SDK and LangChain themselves. */
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { createOpenAI } from "@ai-sdk/openai"
import type { EmbeddingModelV2, EmbeddingModelV3, EmbeddingModelV4 } from "@ai-sdk/provider"
import { Embeddings } from "@langchain/core/embeddings"
import { wrapEmbeddingModel } from "ai"
import { hashEmbedder } from "../../src/core/embed/hash.ts"
import { type EmbedderSource, type EmbedFunction, embedderOf } from "../../src/core/embed/source.ts"
import { Cancelled, EmbedderFailed } from "../../src/core/errors.ts"
import { attach, open } from "../../src/index.ts"
import { embedderContract } from "../contract/embedder.ts"
import { DIMENSIONS, fails, server } from "./served.ts"
import { testClock } from "./test-clock.ts"

/** Vectors of no particular length, as many models return them. */
const rowsOf = async (texts: ReadonlyArray<string>): Promise<Array<Array<number>>> => {
  const words = texts.map((text) => (/[\p{L}\p{N}]/u.test(text) ? text : "symbols"))
  const flat = await hashEmbedder({ dimensions: DIMENSIONS }).embed(words)
  return texts.map((_, i) => Array.from(flat.subarray(i * DIMENSIONS, (i + 1) * DIMENSIONS), (c) => 3 * c))
}

const openai = (): EmbeddingModelV4 =>
  createOpenAI({ baseURL: `${server.url()}/v1`, apiKey: "sk-test" }).embeddingModel("text-embedding-3-small")

/** Says at the start and the end of each call how many texts it has. */
const v3 = (says: (event: string) => void = () => undefined): EmbeddingModelV3 => ({
  specificationVersion: "v3",
  provider: "test",
  modelId: "three",
  maxEmbeddingsPerCall: Promise.resolve(7),
  supportsParallelCalls: Promise.resolve(false),
  doEmbed: async ({ values }) => {
    says(`${values.length} in`)
    const embeddings = await rowsOf(values)
    says(`${values.length} out`)
    return { embeddings, warnings: [] }
  }
})

const v2: EmbeddingModelV2<string> = {
  specificationVersion: "v2",
  provider: "test",
  modelId: "two",
  maxEmbeddingsPerCall: undefined,
  supportsParallelCalls: true,
  doEmbed: async ({ values }) => ({ embeddings: await rowsOf(values) })
}

/** A model that encodes queries in a way of its own, and has calls go through LangChain's retries. */
class TwoSided extends Embeddings {
  readonly model = "two-sided"
  /** What a class of LangChain calls its own methods is its own affair. */
  readonly embed = () => []
  failures = 0

  constructor() {
    super({ maxRetries: 1 })
  }

  override embedDocuments(documents: Array<string>): Promise<Array<Array<number>>> {
    return this.caller.call(async () => {
      if (this.failures-- > 0) throw new Error("down")
      return rowsOf(documents)
    })
  }

  override async embedQuery(document: string): Promise<Array<number>> {
    const [vector = []] = await this.embedDocuments([`query ${document}`])
    return vector
  }
}

const SOURCES: Readonly<Record<string, () => EmbedderSource>> = {
  "a function of arrays": () => rowsOf,
  "a function of one array": () => (texts) =>
    hashEmbedder({ dimensions: DIMENSIONS }).embed(texts.map((t) => `${t} x`)),
  "an object": () => ({ embed: rowsOf }),
  "an object with an id and dimensions": () => ({ ...hashEmbedder({ dimensions: DIMENSIONS }), id: "mine/1" }),
  "the AI SDK's OpenAI": openai,
  "the AI SDK's OpenAI in a middleware": () =>
    wrapEmbeddingModel({ model: openai(), middleware: { specificationVersion: "v4" } }),
  "an AI SDK model of version 3": () => v3(),
  "an AI SDK model of version 2": () => v2,
  LangChain: () => new TwoSided()
}

for (const [name, make] of Object.entries(SOURCES)) embedderContract(name, () => embedderOf(make()))

test("identities name the model, and can be given", async () => {
  const ids = await Promise.all(Object.values(SOURCES).map(async (make) => (await embedderOf(make())).id))
  const ai = "ai-sdk:openai.embedding:text-embedding-3-small"
  const expected = ["custom", "custom", "custom", "mine/1", ai, ai, "ai-sdk:test:three", "ai-sdk:test:two"]
  assert.deepEqual(ids, [...expected, "langchain:TwoSided:two-sided"])
  for (const make of Object.values(SOURCES)) {
    assert.equal((await embedderOf(make(), { id: "other", dimensions: DIMENSIONS })).id, "other")
  }
})

test("a model that says its dimension is not asked for it", async () => {
  assert.equal((await embedderOf(openai(), { dimensions: 3 })).dimensions, 3)
  assert.equal(server.requests.length, 0)
  assert.equal((await embedderOf(openai())).dimensions, DIMENSIONS)
  assert.equal(server.requests.length, 1)
})

test("batches are as large as the model takes, and one at a time where it says so", async () => {
  const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`)
  const calls: Array<string> = []
  const model = v3((event) => calls.push(event))
  await (await embedderOf(model, { dimensions: DIMENSIONS })).embed(texts)
  assert.deepEqual(calls, ["7 in", "7 out", "7 in", "7 out", "6 in", "6 out"])
  await (await embedderOf(openai(), { dimensions: DIMENSIONS, batchSize: 8 })).embed(texts)
  assert.deepEqual(server.requests.map(({ body }) => body.input.length).sort(), [4, 8, 8])
})

test("models of the AI SDK and LangChain count what they are used for", async () => {
  const embedder = await embedderOf(openai(), { dimensions: DIMENSIONS, batchSize: 2, pricePerMillionTokens: 1e6 })
  assert.deepEqual(embedder.usage, { requests: 0, retries: 0, texts: 0, tokens: 0, cost: 0 })
  await embedder.embed(["one", "two", "three"])
  const { usage } = embedder
  assert.ok(usage.tokens > 0 && usage.cost === usage.tokens)
  assert.deepEqual([usage.requests, usage.retries, usage.texts], [2, 0, 3])
  const clock = testClock()
  let isDown = true
  const flaky: EmbeddingModelV4 = {
    ...(v3() as unknown as EmbeddingModelV4),
    specificationVersion: "v4",
    doEmbed: async ({ values }) => {
      if (isDown) {
        isDown = false
        throw Object.assign(new Error("down"), { statusCode: 500 })
      }
      return { embeddings: await rowsOf(values), warnings: [] }
    }
  }
  const retried = await embedderOf(flaky, { dimensions: DIMENSIONS, clock })
  await retried.embed(["one"])
  assert.deepEqual(retried.usage, { requests: 2, retries: 1, texts: 1, tokens: 0, cost: 0 })
  const chain = await embedderOf(new TwoSided(), { dimensions: DIMENSIONS, batchSize: 2 })
  await chain.embed(["one", "two", "three"])
  await chain.embed(["one", "two"], { kind: "query" })
  assert.deepEqual(chain.usage, { requests: 4, retries: 0, texts: 5, tokens: 0, cost: 0 })
})

test("queries go to the method of their own", async () => {
  const model = new TwoSided()
  const embedder = await embedderOf(model)
  const queries = await embedder.embed(["one", "two"], { kind: "query" })
  assert.deepEqual(queries, await embedder.embed(["query one", "query two"]))
  const seen: Array<unknown> = []
  const embed: EmbedFunction = (texts, { kind }) => {
    seen.push(kind)
    return rowsOf(texts)
  }
  const own = await embedderOf(embed, { dimensions: DIMENSIONS })
  await own.embed(["one"], { kind: "query" })
  await own.embed(["one"])
  assert.deepEqual(seen, ["query", "document"])
})

describe("faults", () => {
  const failing = async (options: { readonly maxRetries?: number; readonly timeout?: number } = {}) => {
    const clock = testClock()
    return { clock, embedder: await embedderOf(openai(), { dimensions: DIMENSIONS, clock, ...options }) }
  }
  test("AI SDK: 429, 500 and a cut connection are retried", async () => {
    const { clock, embedder } = await failing()
    server.faults.push({ status: 429, body: "{}", headers: { "retry-after": "7" } }, { status: 500, body: "" }, "cut")
    await embedder.embed(["one"])
    assert.equal(server.requests.length, 4)
    assert.equal(clock.slept[0], 7000)
  })

  test("AI SDK: a key that is refused and a quota that is used up are not", async () => {
    const { embedder } = await failing()
    const quota = '{"error":{"message":"quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}'
    server.faults.push({ status: 401, body: "{}" }, { status: 429, body: quota })
    await assert.rejects(embedder.embed(["one"]), fails("authentication", 401))
    await assert.rejects(embedder.embed(["one"]), fails("quota", 429))
    assert.equal(server.requests.length, 2)
  })

  test("AI SDK: a slow answer runs out of time", async () => {
    server.faults.push("slow")
    const { embedder } = await failing({ timeout: 30 })
    await assert.rejects(embedder.embed(["one"]), fails("timeout"))
  })

  test("AI SDK: too short, not a number and no JSON", async () => {
    const { embedder } = await failing({ maxRetries: 0 })
    server.faults.push("wrong-dimension", { status: 200, body: "<html>" })
    await assert.rejects(embedder.embed(["one"]), fails("invalid-response"))
    await assert.rejects(embedder.embed(["one"]), fails("invalid-response", 200))
    const nan = { ...v2, doEmbed: async () => ({ embeddings: [[Number.NaN, 1]] }) }
    await assert.rejects((await embedderOf(nan, { dimensions: 2 })).embed(["one"]), fails("invalid-response"))
  })

  test("AI SDK: a defect of the model is told as it is", async () => {
    const cause = new TypeError("undefined is not a function")
    const broken = await embedderOf({ ...v2, doEmbed: () => Promise.reject(cause) }, { dimensions: 2 })
    await assert.rejects(broken.embed(["one"]), (error) => {
      assert.ok(error instanceof EmbedderFailed)
      assert.equal(error.cause, cause)
      return true
    })
  })

  test("LangChain retries by itself, and what it gives up on is told", async () => {
    const model = new TwoSided()
    const embedder = await embedderOf(model)
    model.failures = 1
    await embedder.embed(["one"])
    model.failures = 2
    await assert.rejects(embedder.embed(["one"]), { _tag: "EmbedderFailed", message: /down/ })
  })

  test("a function may return anything", async () => {
    const answers: ReadonlyArray<unknown> = [
      undefined,
      "text",
      [],
      [1, 2],
      [[1, 2]],
      [
        [0, 0],
        [1, 1]
      ],
      [[1, 2], [1]],
      [
        [1, Number.NaN],
        [1, 1]
      ],
      [
        ["1", "2"],
        [1, 1]
      ],
      new Float32Array(3)
    ]
    for (const answer of answers) {
      const embedder = await embedderOf((() => answer) as never, { dimensions: 2 })
      await assert.rejects(embedder.embed(["one", "two"]), EmbedderFailed, JSON.stringify(answer))
    }
  })

  test("nobody waits for a function that is deaf to its signal", async () => {
    const embedder = await embedderOf(() => setTimeout(60_000, [], { ref: false }), { dimensions: 2 })
    const controller = new AbortController()
    const running = embedder.embed(["one"], { signal: controller.signal })
    controller.abort()
    await assert.rejects(running, Cancelled)
  })
})

test("a function that answers at once leaves turns to others, and can be cancelled", async () => {
  const embedder = await embedderOf((texts) => texts.map(() => [3, 4]), { dimensions: 2 })
  const texts = Array.from({ length: 200_000 }, (_, i) => `text ${i}`)
  const controller = new AbortController()
  setImmediate(() => controller.abort())
  await assert.rejects(embedder.embed(texts, { signal: controller.signal }), Cancelled)
})

test("an object with an id and dimensions may return vectors one by one, of any length", async () => {
  const embedder = await embedderOf({ id: "mine/1", dimensions: 2, embed: (texts) => texts.map(() => [3, 4]) })
  assert.deepEqual(await embedder.embed(["one", "two"]), Float32Array.of(0.6, 0.8, 0.6, 0.8))
})

test("what is no embedder is refused", async () => {
  const wrong = [null, undefined, 5, "openai/text-embedding-3-small", {}, { embed: 5 }, { doEmbed: true }]
  for (const source of wrong) {
    await assert.rejects(embedderOf(source as never), { _tag: "InvalidParameter", parameter: "embedder" })
  }
  for (const [parameter, value] of Object.entries({ dimensions: 0, batchSize: 1.5, concurrency: 65 })) {
    await assert.rejects(embedderOf(rowsOf, { [parameter]: value }), { _tag: "InvalidParameter", parameter })
  }
})

test("a collection takes any of them, and asks a new model for its dimension once", async () => {
  for (const [name, make] of Object.entries(SOURCES)) {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", { embedder: make() })
    assert.equal(notes.shape.dimensions, DIMENSIONS, name)
    await notes.addMany([
      { key: "cat", text: "The cat sat on the mat." },
      { key: "password", text: "How do I reset my password?" }
    ])
    const [hit] = await notes.search("reset a password", { k: 1 })
    assert.equal(hit?.key, "password", name)
    await using reader = attach(notes.share().handle, { embedder: make() })
    assert.equal((await reader.search("the cat", { k: 1 }))[0]?.key, "cat", name)
  }
})

test("opening a saved collection asks its model nothing, and another model is refused", async (t) => {
  const path = await mkdtemp(join(tmpdir(), "sabine-source-"))
  t.after(() => rm(path, { recursive: true }))
  {
    await using db = await open(path)
    const notes = await db.collection("notes", { embedder: openai() })
    await notes.add({ key: "a", text: "some words" })
    await db.save()
  }
  server.requests.length = 0
  await using db = await open(path)
  await assert.rejects((await db.collection("notes")).search("some words"), { _tag: "NoEmbedder" })
  await assert.rejects(db.collection("notes", { embedder: v2 }), { _tag: "CollectionMismatch", field: "embedder" })
  const notes = await db.collection("notes", { embedder: openai() })
  assert.equal(server.requests.length, 0)
  assert.equal((await notes.search("some words", { k: 1 }))[0]?.key, "a")
})

test("a model of another dimension than the collection was told is an error of the first text", async () => {
  await using db = await open(":memory:")
  const notes = await db.collection("notes", { embedder: openai(), dimensions: 32 })
  await assert.rejects(notes.add({ key: "a", text: "words" }), { _tag: "EmbedderRequestFailed" })
  assert.equal(notes.size(), 0)
})
