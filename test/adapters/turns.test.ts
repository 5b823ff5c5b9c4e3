/** Many texts: whoever embeds them, others have their turns meanwhile. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { AIMessage, HumanMessage } from "@langchain/core/messages"
import { FakeListChatModel } from "@langchain/core/utils/testing"
import { wrapEmbeddingModel } from "ai"
import { MockEmbeddingModelV4 } from "ai/test"
import { cachedEmbeddings } from "../../src/adapters/ai-sdk.ts"
import { cachedChatModel, SabineEmbeddings } from "../../src/adapters/langchain.ts"
import { cachedEmbedder, type Embedder, embedderOf } from "../../src/index.ts"
import { withCache } from "../cache/caches.ts"
import { turnsOf } from "../turns.ts"

const COUNT = 4000
/** Texts between two looks at the clock. */
const A_LOOK = 8
const TEXTS = Array.from({ length: COUNT }, (_, i) => `text ${i}`)

/** Takes no time, and no turn. */
const quick: Embedder = {
  id: "quick",
  dimensions: 2,
  embed: async (texts) => new Float32Array(2 * texts.length).fill(Math.SQRT1_2)
}

/** Fails unless `loops` go over all texts in turns. */
const takesTurns = async (loops: number, work: () => Promise<ArrayLike<unknown>>) => {
  let made: ArrayLike<unknown> = []
  const turns = await turnsOf(async () => {
    made = await work()
  })
  assert.ok(turns >= (loops * COUNT) / A_LOOK - 2 * loops, `${turns} turns`)
  return made
}

test("a function that embeds is given texts that were looked at in turns", async () => {
  const embedder = await embedderOf((texts) => texts.map(() => [1, 1]))
  assert.equal((await takesTurns(2, () => embedder.embed(TEXTS))).length, 2 * COUNT)
  const complete = await embedderOf({ id: "a", dimensions: 2, embed: (texts) => texts.map(() => [1, 1]) })
  assert.equal((await takesTurns(1, () => complete.embed(TEXTS))).length, 2 * COUNT)
})

test("texts are looked for, remembered and put together in turns", async () => {
  const embedder = cachedEmbedder(quick, { maxEntries: COUNT })
  const fresh = await takesTurns(6, () => embedder.embed(TEXTS))
  assert.deepEqual(fresh, await quick.embed(TEXTS))
  assert.deepEqual(await takesTurns(2, () => embedder.embed(TEXTS)), fresh)
  assert.deepEqual(embedder.cache.stats().hits, COUNT)
})

test("embeddings of LangChain become arrays in turns", async () => {
  const rows = await takesTurns(1, () => new SabineEmbeddings(quick).embedDocuments(TEXTS))
  assert.deepEqual([rows.length, rows[COUNT - 1]], [COUNT, Array.from(await quick.embed(["a"]))])
})

test("a long conversation of LangChain is read in turns", () =>
  withCache({}, async ({ cache }) => {
    const model = cachedChatModel(new FakeListChatModel({ responses: ["meow", "woof"] }), cache)
    const conversation = [...TEXTS.map((text) => new AIMessage(text)), new HumanMessage("cat 0")]
    const asked: Array<string> = []
    const ask = async () => asked.push((await model.invoke(conversation)).text)
    for (const _ of [0, 1]) assert.ok((await turnsOf(ask)) > COUNT / A_LOOK)
    assert.deepEqual(asked, ["meow", "meow"])
  }))

test("embeddings of the AI SDK are remembered in turns", async () => {
  const model = new MockEmbeddingModelV4({
    maxEmbeddingsPerCall: COUNT,
    doEmbed: async ({ values }) => ({ embeddings: values.map(() => [1, 2]), warnings: [] })
  })
  const wrapped = wrapEmbeddingModel({ model, middleware: cachedEmbeddings({ maxEntries: COUNT }) })
  const embed = async () => (await wrapped.doEmbed({ values: TEXTS })).embeddings
  assert.equal((await takesTurns(5, embed)).length, COUNT)
  assert.equal((await takesTurns(2, embed)).length, COUNT)
})
