/** The door of the AI SDK, with the SDK itself and its OpenAI provider against a local server. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { createOpenAI } from "@ai-sdk/openai"
import {
  embed,
  embedMany,
  generateText,
  jsonSchema,
  Output,
  streamText,
  type ToolSet,
  tool,
  wrapEmbeddingModel,
  wrapLanguageModel
} from "ai"
import { type CachedOptions, cached, cachedEmbeddings, type SabineMetadata } from "../../src/adapters/ai-sdk.ts"
import type { CacheOptions, SemanticCache } from "../../src/cache.ts"
import type { Embedder } from "../../src/index.ts"
import { degrees, withCache } from "../cache/caches.ts"
import { OpenAiServer } from "./openai-server.ts"

interface Stage {
  readonly server: OpenAiServer
  readonly cache: SemanticCache
  readonly openai: ReturnType<typeof createOpenAI>
  readonly model: ReturnType<typeof wrapLanguageModel>
}

const staged = async (
  use: (stage: Stage) => Promise<void>,
  options: CachedOptions = {},
  cacheOptions: CacheOptions = {}
): Promise<void> =>
  withCache(cacheOptions, async ({ cache }) => {
    await using server = await OpenAiServer.start()
    const openai = createOpenAI({ baseURL: server.url, apiKey: "none" })
    await use({
      server,
      cache,
      openai,
      model: wrapLanguageModel({ model: openai.chat("m"), middleware: cached(cache, options) })
    })
  })

const told = ({ providerMetadata }: { readonly providerMetadata: unknown }): SabineMetadata =>
  (providerMetadata as { readonly sabine: SabineMetadata }).sabine

/** Reads a stream to its end. */
const streamed = async (options: Parameters<typeof streamText>[0]) => {
  const result = streamText({ maxRetries: 0, onError: () => undefined, ...options })
  const pieces: Array<string> = []
  for await (const piece of result.textStream) pieces.push(piece)
  return {
    pieces,
    text: pieces.join(""),
    providerMetadata: await result.providerMetadata,
    usage: await result.usage,
    response: await result.response
  }
}

// The types of the SDK are not made for exact optional properties.
const TOOLS = {
  look: tool({ description: "looks", inputSchema: jsonSchema({ type: "object" }) })
} as unknown as ToolSet
const CALLS = [{ index: 0, id: "t1", type: "function", function: { name: "look", arguments: '{"at":"cat"}' } }]

describe("cached", () => {
  test("answers the same and the near question from the cache, and says how", () =>
    staged(async ({ server, model, cache }) => {
      const first = await generateText({ model, prompt: "cat 0" })
      assert.equal(first.text, 'answer 1 to "cat 0"')
      assert.deepEqual([told(first).hit, told(first).reason], [false, "empty"])
      const again = await generateText({ model, prompt: "cat 0" })
      assert.deepEqual([told(again).hit, told(again).tier, told(again).similarity], [true, "exact", 1])
      const near = await generateText({ model, prompt: "cat 5" })
      assert.deepEqual([near.text, told(near).tier], [first.text, "semantic"])
      assert.ok(Math.abs(told(near).similarity! - Math.cos(Math.PI / 36)) < 1e-3)
      assert.deepEqual(near.usage, first.usage)
      assert.equal(near.finishReason, "stop")
      assert.deepEqual(near.response.timestamp, first.response.timestamp)
      assert.ok(near.response.timestamp instanceof Date)
      const far = await generateText({ model, prompt: "dog 0" })
      assert.equal(told(far).hit, false)
      assert.equal(server.asked.length, 2)
      const { saved } = cache.stats()
      assert.deepEqual([saved.inputTokens, saved.outputTokens], [14, 10])
    }))

  test("replays a stream as a stream, piece by piece", () =>
    staged(async ({ server, model }) => {
      const first = await streamed({ model, prompt: "cat 0" })
      assert.ok(first.pieces.length > 3)
      assert.equal(told(first).hit, false)
      const near = await streamed({ model, prompt: "cat 5" })
      assert.deepEqual(near.pieces, first.pieces)
      assert.deepEqual([told(near).hit, told(near).tier], [true, "semantic"])
      assert.deepEqual(near.usage, first.usage)
      assert.deepEqual(near.response.timestamp, first.response.timestamp)
      assert.equal(server.asked.length, 1)
    }))

  test("makes a stream of what was generated at once, and the other way round", () =>
    staged(async ({ server, model }) => {
      const whole = await generateText({ model, prompt: "cat 0" })
      const replayed = await streamed({ model, prompt: "cat 0" })
      assert.deepEqual([replayed.text, told(replayed).hit], [whole.text, true])
      assert.deepEqual(replayed.usage, whole.usage)
      const parts = await streamed({ model, prompt: "dog 0" })
      const joined = await generateText({ model, prompt: "dog 0" })
      assert.deepEqual([joined.text, told(joined).hit, joined.finishReason], [parts.text, true, "stop"])
      assert.deepEqual(joined.usage, parts.usage)
      assert.deepEqual(joined.response.timestamp, parts.response.timestamp)
      assert.equal(server.asked.length, 2)
    }))

  test("keeps apart whatever an answer depends on", () =>
    staged(async ({ server, model, openai, cache }) => {
      const wrapped = (options: CachedOptions) =>
        wrapLanguageModel({ model: openai.chat("m"), middleware: cached(cache, options) })
      const other = wrapLanguageModel({ model: openai.chat("n"), middleware: cached(cache) })
      const another = createOpenAI({ name: "other", baseURL: server.url, apiKey: "none" })
      const elsewhere = wrapLanguageModel({ model: another.chat("m"), middleware: cached(cache) })
      const user = { role: "user", content: "cat 0" } as const
      const calls = [
        { model, prompt: "cat 0" },
        { model: other, prompt: "cat 0" },
        { model: elsewhere, prompt: "cat 0" },
        { model, prompt: "cat 0", system: "be kind" },
        { model, prompt: "cat 0", temperature: 0.5 },
        { model, prompt: "cat 0", seed: 1 },
        { model, prompt: "cat 0", maxOutputTokens: 9 },
        { model, prompt: "cat 0", stopSequences: ["x"] },
        { model, prompt: "cat 0", tools: TOOLS },
        { model, prompt: "cat 0", tools: TOOLS, toolChoice: "none" },
        { model, prompt: "cat 0", providerOptions: { openai: { user: "u" } } },
        { model, prompt: "cat 0", providerOptions: { sabine: { tenant: "t" } } },
        { model: wrapped({ tenant: "u" }), prompt: "cat 0" },
        { model: wrapped({ scope: () => "v" }), prompt: "cat 0" },
        { model, messages: [user, { role: "assistant", content: "meow" }, user] }
      ] satisfies ReadonlyArray<Parameters<typeof generateText>[0]>
      const seen = new Set<string>()
      for (const call of calls) {
        const result = await generateText(call)
        assert.equal(told(result).hit, false, JSON.stringify(result.request.body))
        seen.add(told(result).key!)
      }
      assert.equal(seen.size, calls.length)
      for (const call of calls) assert.equal(told(await generateText(call)).hit, true)
      assert.equal(server.asked.length, calls.length)
    }))

  for (const [what, said] of [
    ["that calls a tool", { finish: "tool_calls", toolCalls: CALLS }],
    ["that is cut at its length", { finish: "length" }],
    ["that a filter stopped", { finish: "content_filter" }]
  ] as const) {
    test(`does not keep an answer ${what}`, () =>
      staged(async ({ server, model, cache }) => {
        server.says.push(said, said)
        await generateText({ model, prompt: "cat 0", tools: TOOLS })
        await streamed({ model, prompt: "cat 0", tools: TOOLS })
        assert.equal(told(await generateText({ model, prompt: "cat 0", tools: TOOLS })).hit, false)
        assert.equal(server.asked.length, 3)
        assert.equal(cache.stats().stored, 1)
      }))
  }

  test("does not keep failures, and streams that break off", () =>
    staged(async ({ server, model, cache }) => {
      server.says.push({ status: 500 }, { status: 500 }, { cutAfter: 2 })
      await assert.rejects(generateText({ model, prompt: "cat 0", maxRetries: 0 }))
      await assert.rejects(streamed({ model, prompt: "cat 0" }))
      await streamed({ model, prompt: "cat 0" }).catch(() => undefined)
      assert.equal(cache.stats().stored, 0)
      assert.equal(told(await generateText({ model, prompt: "cat 0" })).hit, false)
      assert.equal(server.asked.length, 4)
    }))

  test("keeps structured output only when it was validated", async () => {
    const schema = jsonSchema<{ legs: number }>({ type: "object", properties: { legs: { type: "number" } } })
    const output = Output.object({ schema })
    await staged(async ({ server, model, cache }) => {
      const invalid = { text: '{"legs":"four"}' }
      server.says.push(invalid, invalid, { text: '{"legs":4}' })
      await generateText({ model, prompt: "cat 0", output })
      await streamed({ model, prompt: "cat 0", output })
      assert.deepEqual(cache.stats().unkept, { unvalidated: 2 })
      assert.equal(told(await generateText({ model, prompt: "cat 0", output })).hit, false)
      const kept = await generateText({ model, prompt: "cat 0", output })
      assert.deepEqual([told(kept).hit, kept.output], [true, { legs: 4 }])
      // What nobody here can check is nobody's to keep.
      const unknown = Output.object({
        schema: jsonSchema<{ at: string }>({ type: "object", properties: { at: { format: "date" } } })
      })
      for (const _ of [0, 1]) {
        server.says.push({ text: '{"at":"2026-01-01"}' })
        assert.equal(told(await generateText({ model, prompt: "cat 0", output: unknown })).hit, false)
      }
    })
    const validate: CachedOptions["validate"] = (value) => typeof (value as { legs: unknown }).legs === "number"
    await staged(
      async ({ server, model }) => {
        server.says.push({ text: '{"legs":"four"}' }, { text: '{"legs":4}' })
        await generateText({ model, prompt: "cat 0", output })
        assert.equal(told(await generateText({ model, prompt: "cat 0", output })).hit, false)
        const third = await generateText({ model, prompt: "cat 0", output })
        assert.deepEqual([told(third).hit, third.output], [true, { legs: 4 }])
      },
      { validate }
    )
  })

  test("asks the model once for those who ask at the same time, in either form", () =>
    staged(async ({ server, model }) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      server.wait = promise
      const callers = Array.from({ length: 10 }, (_, i) =>
        i % 2 === 0 ? generateText({ model, prompt: "cat 0" }) : streamed({ model, prompt: "cat 0" })
      )
      while (server.asked.length === 0) await new Promise(setImmediate)
      resolve()
      const results = await Promise.all(callers)
      assert.equal(server.asked.length, 1)
      assert.equal(new Set(results.map(({ text }) => text)).size, 1)
      assert.equal(results.filter((result) => told(result).isShared).length, 9)
    }))

  test("a caller who gives up is told so in the words of the SDK, and the last one ends the call", () =>
    staged(async ({ server, model }) => {
      server.wait = new Promise(() => undefined)
      const controller = new AbortController()
      const gone = generateText({ model, prompt: "cat 0", abortSignal: controller.signal, maxRetries: 0 })
      while (server.asked.length === 0) await new Promise(setImmediate)
      controller.abort()
      await assert.rejects(gone, { name: "AbortError" })
      while (server.left === 0) await new Promise(setImmediate)
    }))

  test("goes on for others when the caller who asked the model gives up", () =>
    staged(async ({ server, model }) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      server.wait = promise
      const controller = new AbortController()
      const gone = generateText({ model, prompt: "cat 0", abortSignal: controller.signal, maxRetries: 0 })
      while (server.asked.length === 0) await new Promise(setImmediate)
      const stays = generateText({ model, prompt: "cat 0" })
      // It waits for the same call before the first caller leaves.
      await new Promise((resolve) => setTimeout(resolve, 20))
      controller.abort()
      await assert.rejects(gone, { name: "AbortError" })
      resolve()
      assert.equal((await stays).text, 'answer 1 to "cat 0"')
      assert.deepEqual([server.asked.length, server.left], [1, 0])
    }))

  test("takes options of one call", () =>
    staged(async ({ server, model }) => {
      const asking = (sabine: Record<string, string | number>, prompt = "cat 0") =>
        generateText({ model, prompt, providerOptions: { sabine } })
      await assert.rejects(asking({ source: "only" }), { _tag: "NotCached" })
      await asking({})
      assert.equal(told(await asking({ source: "only" })).hit, true)
      assert.equal(told(await asking({ source: "bypass" })).reason, "bypass")
      assert.equal(told(await asking({ threshold: 0.9999 }, "cat 5")).reason, "below-threshold")
      assert.equal(server.asked.length, 3)
    }))

  test("a call that names no tenant is of that of the middleware, or of the cache", () =>
    staged(
      async ({ openai, cache }) => {
        for (const [tenant, options] of [
          ["acme", { tenant: "acme" }],
          ["usual", {}]
        ] as const) {
          const model = wrapLanguageModel({ model: openai.chat("m"), middleware: cached(cache, options) })
          const asking = (sabine: object) =>
            generateText({ model, prompt: "cat 0", providerOptions: { sabine: { ...sabine } } })
          const { key } = told(await asking({ tenant }))
          for (const sabine of [{ tenant: null }, { tenant: undefined }, {}]) {
            assert.deepEqual([told(await asking(sabine)).key, told(await asking(sabine)).hit], [key, true])
          }
        }
      },
      {},
      { tenant: "usual" }
    ))

  test("asks the model as if there were no cache while questions cannot be embedded", () => {
    let isDown = false
    const usual = degrees()
    const embedder: Embedder = {
      ...usual,
      embed: async (texts) => {
        if (isDown) throw new Error("down")
        return usual.embed(texts)
      }
    }
    return staged(
      async ({ server, model }) => {
        await generateText({ model, prompt: "cat 0" })
        isDown = true
        const results = [await generateText({ model, prompt: "cat 5" }), await streamed({ model, prompt: "cat 5" })]
        assert.deepEqual(
          results.map((result) => told(result).reason),
          ["EmbedderFailed", "EmbedderFailed"]
        )
        assert.deepEqual([results[1]!.text, server.asked.length], ['answer 3 to "cat 5"', 3])
        assert.equal(told(await generateText({ model, prompt: "cat 0" })).hit, true)
      },
      {},
      { embedder }
    )
  })
})

describe("cachedEmbeddings", () => {
  test("sends each text once, and each caller has vectors of its own", async () => {
    await using server = await OpenAiServer.start()
    const openai = createOpenAI({ baseURL: server.url, apiKey: "none" })
    const middleware = cachedEmbeddings({ maxEntries: 10 })
    const model = wrapEmbeddingModel({ model: openai.embedding("e"), middleware })
    const first = await embed({ model, value: "cat" })
    first.embedding[0] = 99
    const again = await embed({ model, value: "cat" })
    assert.deepEqual(again.embedding, [3, 1, 0.1])
    assert.deepEqual(again.usage, { tokens: 0 })
    again.embedding[0] = 99
    const many = await embedMany({ model, values: ["lion", "cat", "lion", "tiger"] })
    assert.deepEqual(
      many.embeddings.map(([length]) => length),
      [4, 3, 4, 5]
    )
    assert.deepEqual(many.providerMetadata?.["sabine"], { remembered: 1, shared: 0 })
    assert.deepEqual(
      server.asked.map(({ body }) => body.input),
      [["cat"], ["lion", "tiger"]]
    )
    await embed({ model: wrapEmbeddingModel({ model: openai.embedding("f"), middleware }), value: "cat" })
    await embed({ model, value: "cat", providerOptions: { openai: { dimensions: 3 } } })
    assert.equal(server.asked.length, 4)
    assert.equal(middleware.stats().entries, 5)
  })

  test("answers for the texts that it was called with, whatever becomes of their array meanwhile", async () => {
    await using server = await OpenAiServer.start()
    const openai = createOpenAI({ baseURL: server.url, apiKey: "none" })
    const model = wrapEmbeddingModel({ model: openai.embedding("e"), middleware: cachedEmbeddings() })
    const { promise, resolve } = Promise.withResolvers<void>()
    server.wait = promise
    const values = ["cat", "lion"]
    const embedding = model.doEmbed({ values })
    while (server.asked.length === 0) await new Promise(setImmediate)
    values[0] = "tiger"
    resolve()
    const { embeddings } = await embedding
    assert.deepEqual(
      embeddings.map(([length]) => length),
      [3, 4]
    )
  })

  test("sends a text once for all who ask at the same time, and again for those who stay when its caller gives up", async () => {
    await using server = await OpenAiServer.start()
    const openai = createOpenAI({ baseURL: server.url, apiKey: "none" })
    const model = wrapEmbeddingModel({ model: openai.embedding("e"), middleware: cachedEmbeddings() })
    const { promise, resolve } = Promise.withResolvers<void>()
    server.wait = promise
    const callers = [["cat", "lion"], ["cat"], ["lion", "tiger", "cat"]].map((values) => embedMany({ model, values }))
    while (server.asked.length < 2) await new Promise(setImmediate)
    resolve()
    const results = await Promise.all(callers)
    assert.deepEqual(
      server.asked.map(({ body }) => body.input),
      [["cat", "lion"], ["tiger"]]
    )
    assert.deepEqual(
      results.map(({ embeddings, usage, providerMetadata }) => [
        embeddings.map(([length]) => length),
        usage.tokens,
        providerMetadata?.["sabine"]
      ]),
      [
        [[3, 4], 2, { remembered: 0, shared: 0 }],
        [[3], 0, { remembered: 0, shared: 1 }],
        [[4, 5, 3], 1, { remembered: 0, shared: 2 }]
      ]
    )
    server.wait = new Promise(() => undefined)
    const controller = new AbortController()
    const gone = embed({ model, value: "bear", abortSignal: controller.signal, maxRetries: 0 })
    while (server.asked.length < 3) await new Promise(setImmediate)
    const stays = embed({ model, value: "bear" })
    await new Promise((resolve) => setTimeout(resolve, 20))
    server.wait = Promise.resolve()
    controller.abort()
    await assert.rejects(gone, { name: "AbortError" })
    assert.equal((await stays).embedding[0], 4)
    assert.equal(server.asked.length, 4)
  })
})
