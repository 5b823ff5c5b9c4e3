/** Models of LangChain behind the cache, with LangChain's own models and chains. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { AIMessage, AIMessageChunk, HumanMessage, SystemMessage } from "@langchain/core/messages"
import { type ChatGeneration, ChatGenerationChunk } from "@langchain/core/outputs"
import { tool } from "@langchain/core/tools"
import { FakeListChatModel, FakeLLM, FakeStreamingChatModel } from "@langchain/core/utils/testing"
import { CachedChatModel, cachedChatModel, SabineCache, type SabineMetadata } from "../../src/adapters/langchain.ts"
import { Closed, type Embedder } from "../../src/index.ts"
import { degrees, withCache } from "../cache/caches.ts"

/** Answers that tell calls apart. */
const counting = (options: Partial<ConstructorParameters<typeof FakeListChatModel>[0]> = {}) =>
  new FakeListChatModel({ responses: ["one", "two", "three", "four", "five", "six"], ...options })

const told = (message: { readonly response_metadata: Record<string, unknown> }) =>
  message.response_metadata["sabine"] as SabineMetadata

const streamed = async (stream: AsyncIterable<AIMessageChunk>) => {
  const chunks: Array<AIMessageChunk> = []
  for await (const chunk of stream) chunks.push(chunk)
  const pieces = chunks.map(({ text }) => text)
  return { pieces, text: pieces.join(""), told: told(chunks.at(-1)!) }
}

const LOOK = tool(async () => "meow", {
  name: "look",
  description: "looks",
  schema: { type: "object", properties: {} }
})

describe("SabineCache", () => {
  test("answers invoke of a chat model from the cache, the near question too", () =>
    withCache({}, async ({ cache }) => {
      const model = counting({ cache: new SabineCache(cache) })
      const system = new SystemMessage("be kind")
      const invoke = async (...messages: Array<SystemMessage | HumanMessage | AIMessage>) =>
        (await model.invoke(messages)).text
      assert.equal(await invoke(system, new HumanMessage("cat 0")), "one")
      assert.equal(await invoke(system, new HumanMessage("cat 0")), "one")
      assert.equal(await invoke(system, new HumanMessage("cat 5")), "one")
      assert.equal(await invoke(new SystemMessage("be brief"), new HumanMessage("cat 0")), "two")
      assert.equal(await invoke(new HumanMessage("cat 0")), "three")
      assert.equal(await invoke(new HumanMessage("cat 0"), new AIMessage("meow"), new HumanMessage("cat 0")), "four")
      assert.equal(await invoke(new HumanMessage("dog 0"), new AIMessage("meow"), new HumanMessage("cat 5")), "five")
      assert.deepEqual(cache.stats().hits, { exact: 1, semantic: 1, stale: 0 })
    }))

  test("answers a text model, and tells tenants and call options apart", () =>
    withCache({}, async ({ cache }) => {
      let calls = 0
      const llm = (tenant: string) => {
        const model = new FakeLLM({ cache: new SabineCache(cache, { tenant }) })
        model._call = async () => `answer ${++calls}`
        return model
      }
      assert.equal(await llm("a").invoke("cat 0"), "answer 1")
      assert.equal(await llm("a").invoke("cat 5"), "answer 1")
      assert.equal(await llm("b").invoke("cat 0"), "answer 2")
      assert.equal(await llm("a").invoke("cat 0", { stop: ["x"] }), "answer 3")
    }))

  test("keeps no tool calls, and nothing of what it cannot see", () =>
    withCache({}, async ({ cache }) => {
      const calls = { name: "look", args: {}, id: "t", type: "tool_call" as const }
      const calling = new FakeStreamingChatModel({ chunks: [new AIMessageChunk({ content: "", tool_calls: [calls] })] })
      calling.cache = new SabineCache(cache)
      await calling.invoke("cat 0")
      const seeing = counting({ cache: new SabineCache(cache) })
      const image = (url: string) =>
        seeing.invoke([
          new HumanMessage({
            content: [
              { type: "text", text: "cat 0" },
              { type: "image_url", image_url: { url } }
            ]
          })
        ])
      assert.deepEqual([(await image("data:a")).text, (await image("data:b")).text], ["one", "two"])
      assert.equal(cache.stats().stored, 0)
      const cut = counting({ cache: new SabineCache(cache) })
      const generate = cut._generate.bind(cut)
      cut._generate = async (...args) => {
        const result = await generate(...args)
        result.generations[0]!.message.response_metadata = { finish_reason: "length" }
        return result
      }
      await cut.invoke("cat 0")
      const asked = counting({ cache: new SabineCache(cache) })
      for (const options of [
        { response_format: { type: "json_schema", json_schema: { schema: { type: "object" } } } },
        { response_format: { type: "json_object" } },
        { format: "json" },
        { format: { type: "object" } },
        { format: { $schema: "https://json-schema.org/draft/2020-12/schema", type: "object" } },
        { outputConfig: { format: { type: "json_schema", schema: { type: "object" } } } },
        { responseSchema: { type: "object" } },
        { responseMimeType: "application/json" }
      ]) {
        await asked.invoke("cat 0", options as object)
      }
      assert.deepEqual(
        [cache.stats().stored, cache.stats().unkept],
        [0, { "tool-calls": 1, unvalidated: 8, unfinished: 1 }]
      )
      // Tools may have what they call a format.
      const tools = [{ name: "look", parameters: { format: { type: "string", format: "date" } } }]
      for (const format of ["text", { type: "text" }]) await asked.invoke("cat 0", { tools, format } as object)
      assert.equal(cache.stats().stored, 2)
    }))

  test("asks the model as if there were no cache while questions cannot be embedded", () => {
    const embedder: Embedder = {
      ...degrees(),
      embed: async () => {
        throw new Error("down")
      }
    }
    return withCache({ embedder }, async ({ cache }) => {
      const model = counting({ cache: new SabineCache(cache) })
      const answers = [await model.invoke("cat 0"), await model.invoke("cat 0")]
      assert.deepEqual(
        answers.map(({ text }) => text),
        ["one", "two"]
      )
      await cache.close()
      await assert.rejects(model.invoke("cat 0"), Closed)
    })
  })
})

describe("cachedChatModel", () => {
  test("tells the callbacks of the model behind it", () =>
    withCache({}, async ({ cache }) => {
      const model = counting()
      let ended = 0
      model.callbacks = [{ handleLLMEnd: () => void ended++ }]
      model.tags = ["mine"]
      const cached = cachedChatModel(model, cache)
      await cached.invoke("cat 0")
      await cached.invoke("cat 0")
      assert.deepEqual([ended, cached.tags], [2, ["mine"]])
    }))

  test("caches invoke and stream, each from what the other kept", () =>
    withCache({}, async ({ cache }) => {
      const model = cachedChatModel(counting(), cache)
      const first = await streamed(await model.stream("cat 0"))
      assert.deepEqual([first.text, first.told.hit, first.told.reason], ["one", false, "empty"])
      const again = await streamed(await model.stream("cat 0"))
      assert.deepEqual(again.pieces, first.pieces)
      assert.deepEqual([again.told.hit, again.told.tier], [true, "exact"])
      assert.equal((await streamed(await model.stream("cat 5"))).told.tier, "semantic")
      const whole = await model.invoke("cat 0")
      assert.deepEqual([whole.text, told(whole).hit], ["one", true])
      const other = await model.invoke("dog 0")
      assert.deepEqual([other.text, told(other).hit], ["two", false])
      const replayed = await streamed(await model.stream("dog 0"))
      assert.deepEqual([replayed.text, replayed.told.hit], ["two", true])
      assert.equal(cache.stats().stored, 2)
    }))

  test("gives every answer that is served again an id of its own, which all its chunks have", () =>
    withCache({}, async ({ cache }) => {
      const streaming = new FakeStreamingChatModel({})
      streaming._streamResponseChunks = async function* () {
        for (const text of ["me", "ow"]) {
          const message = new AIMessageChunk({ content: text, id: "of the model" })
          yield new ChatGenerationChunk({ text, message })
        }
      }
      const model = cachedChatModel(streaming, cache)
      const idsOf = async () => {
        const ids = new Set<string | undefined>()
        for await (const { id } of await model.stream("cat 0")) ids.add(id)
        return [...ids]
      }
      const streams = [await Promise.all([idsOf(), idsOf()]), await idsOf(), await idsOf()].flat(2)
      const wholes = [await model.invoke("cat 0"), await model.invoke("cat 5")].map(({ id }) => id)
      streaming.cache = new SabineCache(cache)
      const own = [await streaming.invoke("dog 0"), await streaming.invoke("dog 0"), await streaming.invoke("dog 0")]
      const ids = [...streams, ...wholes, ...own.slice(1).map(({ id }) => id)]
      assert.equal(streams[0], "of the model")
      assert.deepEqual([ids.length, new Set(ids).size], [8, 8])
      assert.ok(ids.slice(1).every((id) => id?.startsWith("run-")))
    }))

  test("gives each of several generations that are served again an id of its own, also where there are callbacks", () =>
    withCache({}, async ({ cache }) => {
      const several = counting()
      several._generate = async () => ({
        generations: ["one", "two"].map((text) => ({ text, message: new AIMessage({ content: text, id: text }) }))
      })
      const model = cachedChatModel(several, cache)
      const idsOf = async () => {
        const callbacks = [{ handleLLMStart: () => undefined }]
        const { generations } = await model.generate([[new HumanMessage("cat 0")]], { callbacks })
        return generations[0]!.map((generation) => (generation as ChatGeneration).message.id)
      }
      assert.deepEqual(await idsOf(), ["one", "two"])
      const ids = [await idsOf(), await idsOf()].flat()
      assert.equal(new Set(ids).size, 4)
      assert.ok(ids.every((id) => id?.startsWith("run-")))
    }))

  test("tells tokens to callbacks, whether they are new or replayed", () =>
    withCache({}, async ({ cache }) => {
      const model = cachedChatModel(counting(), cache)
      for (const _ of [0, 1]) {
        const tokens: Array<string> = []
        const callbacks = [{ handleLLMNewToken: (token: string) => void tokens.push(token) }]
        await streamed(await model.stream("cat 0", { callbacks }))
        assert.deepEqual(
          tokens.filter((token) => token !== ""),
          ["o", "n", "e"]
        )
      }
    }))

  test("keeps apart models, messages, call options, tools and tenants", () =>
    withCache({}, async ({ cache }) => {
      const model = counting()
      const cached = cachedChatModel(model, cache)
      const conversation = (said: string) => [new SystemMessage(said), new HumanMessage("cat 0")]
      const calling = cachedChatModel(counting(), cache)
      const calls = [
        () => cached.invoke("cat 0"),
        () => cached.invoke(conversation("be kind")),
        () => cached.invoke(conversation("be brief")),
        () => cached.invoke("cat 0", { stop: ["x"] }),
        () => cachedChatModel(model, cache, { tenant: "t" }).invoke("cat 0"),
        () => calling.bindTools([LOOK]).invoke("cat 0")
      ]
      for (const call of calls) assert.equal(told(await call()).hit, false)
      for (const call of calls) assert.equal(told(await call()).hit, true)
    }))

  test("reads messages that are made of blocks, and serves such an answer as it was", () =>
    withCache({}, async ({ cache }) => {
      const contentBlocks = [
        { type: "reasoning" as const, reasoning: "a cat" },
        { type: "text" as const, text: "meow" }
      ]
      const model = counting()
      model._generate = async () => ({ generations: [{ text: "meow", message: new AIMessage({ contentBlocks }) }] })
      const cached = cachedChatModel(model, cache)
      const question = new HumanMessage({ contentBlocks: [{ type: "text", text: "cat 0" }] })
      const before = new AIMessage({ contentBlocks })
      const [first, second] = [await cached.invoke([before, question]), await cached.invoke([before, question])]
      assert.deepEqual([told(first).hit, told(second).hit], [false, true])
      assert.deepEqual([second.text, second.content], ["meow", contentBlocks])
      assert.deepEqual(second.contentBlocks, first.contentBlocks)
      assert.equal(told(await cached.invoke([before, new HumanMessage("cat 0")])).hit, true)
      const named = new HumanMessage("cat 0")
      named.name = "ann"
      assert.equal(told(await cached.invoke([before, named])).hit, false)
    }))

  test("keeps no tool calls and no failures", () =>
    withCache({}, async ({ cache }) => {
      const calls = { name: "look", args: {}, id: "t", type: "tool_call" as const }
      const calling = cachedChatModel(
        new FakeStreamingChatModel({ chunks: [new AIMessageChunk({ content: "", tool_calls: [calls] })] }),
        cache
      )
      assert.equal((await calling.invoke("cat 0")).tool_calls?.length, 1)
      assert.equal(told(await calling.invoke("cat 0")).hit, false)
      const kwargs = {
        tool_calls: [{ id: "t", type: "function" as const, function: { name: "look", arguments: "{}" } }]
      }
      const chunks = [new AIMessageChunk({ content: "", additional_kwargs: kwargs })]
      const older = cachedChatModel(new FakeStreamingChatModel({ chunks }), cache)
      for (const _ of [0, 1]) assert.equal((await streamed(await older.stream("cat 5"))).told.hit, false)
      const failing = cachedChatModel(new FakeStreamingChatModel({ thrownErrorString: "no model" }), cache)
      await assert.rejects(failing.invoke("dog 0"), /no model/)
      await assert.rejects(async () => streamed(await failing.stream("dog 0")), /no model/)
      assert.equal(cache.stats().stored, 0)
    }))

  test("keeps what is whole, in the words of each provider, and nothing that was cut or refused", () =>
    withCache({}, async ({ cache }) => {
      type Fields = ConstructorParameters<typeof AIMessageChunk>[0] & object
      const by = (model_provider: string, told: object = {}): Fields => ({
        content: "",
        response_metadata: { model_provider, ...told }
      })
      const kwargs = (additional_kwargs: Record<string, unknown>): Fields => ({ content: "", additional_kwargs })
      const ends: ReadonlyArray<readonly [Fields, boolean]> = [
        [kwargs({ stop_reason: "end_turn" }), true],
        [kwargs({ stop_reason: "max_tokens" }), false],
        [kwargs({ stop_reason: "refusal" }), false],
        [kwargs({ refusal: "I cannot" }), false],
        [by("bedrock-converse", { messageStop: { stopReason: "end_turn" } }), true],
        [by("bedrock-converse", { messageStop: { stopReason: "max_tokens" } }), false],
        [by("bedrock-converse", { stopReason: "guardrail_intervened" }), false],
        [by("google-genai", { finishReason: "STOP" }), true],
        [by("cohere", { finishReason: "COMPLETE" }), true],
        [by("huggingface", { finish_reason: "eos_token" }), true],
        [by("google-genai", { finishReason: "MAX_TOKENS" }), false],
        [by("openai", { finish_reason: "constructor" }), false],
        // The connection ended before the model had.
        [by("openai"), false]
      ]
      for (const [i, [fields, isWhole]] of ends.entries()) {
        const streaming = new FakeStreamingChatModel({})
        streaming._streamResponseChunks = async function* () {
          yield new ChatGenerationChunk({ text: "meow", message: new AIMessageChunk("meow") })
          yield new ChatGenerationChunk({ text: "", message: new AIMessageChunk(fields) })
        }
        const model = cachedChatModel(streaming, cache, { tenant: String(i) })
        await streamed(await model.stream("cat 0"))
        const second = await streamed(await model.stream("cat 0"))
        assert.equal(second.told.hit, isWhole, JSON.stringify(fields))
      }
      assert.deepEqual(cache.stats().unkept, { unfinished: 10, refused: 6 })
    }))

  test("keeps structured output that is what was asked for, and no other", () =>
    withCache({}, async ({ cache }) => {
      const schema = { type: "object", required: ["legs"], properties: { legs: { type: "integer" } } }
      const asking: ReadonlyArray<object> = [
        { response_format: { type: "json_schema", json_schema: { name: "cat", schema } } },
        { text: { format: { type: "json_schema", name: "cat", schema } } },
        { format: schema },
        { outputConfig: { format: { type: "json_schema", schema } } },
        { outputFormat: { type: "json_schema", schema } },
        { responseJsonSchema: schema },
        { responseMimeType: "application/json" },
        { response_format: { type: "json_object" } },
        { format: "json" }
      ]
      for (const [i, options] of asking.entries()) {
        const responses = [i < 6 ? '{"legs":"four"}' : '{"legs":', '{"legs":4}', "unasked"]
        const model = cachedChatModel(new FakeListChatModel({ responses }), cache)
        const said = async () => (await model.invoke("cat 0", options)).text
        assert.deepEqual([await said(), await said(), await said()], [responses[0], responses[1], responses[1]])
        const stream = await streamed(await model.stream("cat 0", options))
        assert.deepEqual([stream.text, stream.told.hit], ['{"legs":4}', true])
      }
      assert.deepEqual(cache.stats().unkept, { unvalidated: asking.length })
      const plain = cachedChatModel(counting(), cache)
      for (const _ of [0, 1]) await plain.invoke("cat 0", { response_format: { type: "text" } } as object)
      assert.equal(cache.stats().stored, asking.length + 1)
    }))

  test("asks the model once for those who ask at the same time", () =>
    withCache({}, async ({ cache }) => {
      const model = cachedChatModel(counting({ sleep: 20 }), cache)
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          i % 2 === 0 ? model.invoke("cat 0") : model.stream("cat 0").then(streamed)
        )
      )
      assert.deepEqual([...new Set(answers.map(({ text }) => text))], ["one"])
      assert.equal(cache.stats().stored, 1)
    }))

  test("a caller who gives up is told, and nothing is kept", () =>
    withCache({}, async ({ cache }) => {
      const model = cachedChatModel(counting({ sleep: 20 }), cache)
      assert.ok(model instanceof CachedChatModel)
      const controller = new AbortController()
      const gone = async () => {
        for await (const _ of await model.stream("cat 0", { signal: controller.signal })) controller.abort()
      }
      await assert.rejects(gone)
      assert.equal(told(await model.invoke("cat 0")).hit, false)
    }))
})
