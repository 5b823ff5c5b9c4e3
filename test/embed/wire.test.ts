/** What the embedders behind HTTP send, read and count. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import { ollamaEmbedder } from "../../src/core/embed/ollama.ts"
import { openaiEmbedder } from "../../src/core/embed/openai.ts"
import { Cancelled, type EmbedderFailureReason } from "../../src/core/errors.ts"
import { asked, DIMENSIONS, fails, ollama, openai, server } from "./served.ts"
import { testClock } from "./test-clock.ts"

test("openai: the wire format, batches of 100 and counters", async () => {
  const embedder = openai()
  await embedder.embed(Array.from({ length: 250 }, (_, i) => `text ${i}`))
  assert.deepEqual(server.requests.map(({ body }) => body.input.length).sort(), [100, 100, 50])
  const { url: path, headers, body } = server.requests[0]!
  assert.equal(path, "/v1/embeddings")
  assert.equal(headers.authorization, "Bearer sk-test")
  assert.equal(headers["openai-organization"], "org-1")
  assert.equal(body.model, "text-embedding-3-small")
  assert.equal(body.dimensions, DIMENSIONS)
  const { cost, ...usage } = embedder.usage
  assert.deepEqual(usage, { requests: 3, retries: 0, texts: 250, tokens: 1250 })
  assert.ok(Math.abs(cost - (1250 * 0.02) / 1e6) < 1e-12)
})

test("openai: what the environment says, and what goes before it", async (t) => {
  const names = ["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID"] as const
  t.after(() => {
    for (const name of names) delete process.env[name]
  })
  for (const name of names) delete process.env[name]
  assert.throws(() => openaiEmbedder(), { _tag: "InvalidParameter", parameter: "apiKey" })
  process.env["OPENAI_API_KEY"] = "sk-environment"
  process.env["OPENAI_BASE_URL"] = `${server.url()}/other/v1`
  process.env["OPENAI_ORG_ID"] = "org-environment"
  await openaiEmbedder({ dimensions: DIMENSIONS }).embed(["one"])
  await openai().embed(["one"])
  await openaiEmbedder({ dimensions: DIMENSIONS, headers: { authorization: "Basic x" } }).embed(["one"])
  const seen = server.requests.map(({ url, headers }) => [url, headers.authorization, headers["openai-organization"]])
  assert.deepEqual(seen, [
    ["/other/v1/embeddings", "Bearer sk-environment", "org-environment"],
    ["/v1/embeddings", "Bearer sk-test", "org-1"],
    ["/other/v1/embeddings", "Basic x", "org-environment"]
  ])
})

test("openai: dimensions are asked for only where the model shortens", async () => {
  const at = { baseUrl: `${server.url()}/v1` }
  await openaiEmbedder({ ...at, model: "bge-small", dimensions: DIMENSIONS }).embed(["one"])
  await openaiEmbedder({ ...at, model: "text-embedding-3-large", dimensions: DIMENSIONS }).embed(["one"])
  assert.deepEqual(
    server.requests.map(({ body }) => body.dimensions),
    [undefined, DIMENSIONS]
  )
})

test("openai: four requests at a time, or as many as may be; ollama: one", async () => {
  const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`)
  const cases = [
    [openai({ batchSize: 1 }), 4],
    [openai({ batchSize: 1, concurrency: 2 }), 2],
    [ollama({ batchSize: 1 }), 1]
  ] as const
  for (const [embedder, expected] of cases) {
    server.requests.length = 0
    server.faults.push(...texts.map(() => "slow" as const))
    const controller = new AbortController()
    const running = embedder.embed(texts, { signal: controller.signal })
    await asked(expected)
    await setTimeout(20)
    assert.equal(server.requests.length, expected)
    controller.abort()
    await assert.rejects(running, Cancelled)
    server.faults.length = 0
  }
})

test("openai: the rate limit lies before every request, retries among them", async () => {
  const texts = ["one", "two", "three", "four"]
  const clock = testClock()
  await openai({ clock, batchSize: 1, concurrency: 1, requestsPerMinute: 60 }).embed(texts)
  assert.deepEqual(clock.slept, [1000, 1000])
  server.requests.length = 0
  server.faults.push({ status: 500, body: "" })
  // The next request may start in a minute, when no time is left for it.
  const retry = openai({ clock: testClock(), requestsPerMinute: 1, timeout: 59_000 }).embed(["one"])
  await assert.rejects(retry, fails("server", 500))
  assert.equal(server.requests.length, 1)
})

test("texts are sent composed, and without halves of characters", async () => {
  await openai().embed(["cafe\u0301 \ud800"])
  assert.deepEqual(server.requests[0]?.body.input, ["caf\u00e9 \ufffd"])
})

test("openai: retries are counted apart, and their texts once", async () => {
  server.faults.push({ status: 500, body: "" }, "cut")
  const embedder = openai({ clock: testClock() })
  await embedder.embed(["one", "two"])
  const { requests, retries, texts, tokens } = embedder.usage
  assert.deepEqual({ requests, retries, texts, tokens }, { requests: 3, retries: 2, texts: 2, tokens: 10 })
})

test("openai: the first failure stops the other batches", async () => {
  server.faults.push("slow", { status: 401, body: "{}" })
  const texts = Array.from({ length: 1000 }, (_, i) => `text ${i}`)
  await assert.rejects(openai().embed(texts), fails("authentication", 401))
  assert.ok(server.requests.length <= 4, `${server.requests.length} requests`)
})

test("openai: numbers in place of base64, and rows out of order, are the same vectors", async () => {
  const embedder = openai()
  const expected = await embedder.embed(["one", "two"])
  server.faults.push("numbers", "reversed")
  assert.deepEqual(await embedder.embed(["one", "two"]), expected)
  assert.deepEqual(await embedder.embed(["one", "two"]), expected)
})

test("openai: a quota that is used up is not retried", async () => {
  server.faults.push({ status: 429, body: '{"error":{"message":"quota","code":"insufficient_quota"}}' })
  await assert.rejects(openai().embed(["one"]), fails("quota", 429))
  assert.equal(server.requests.length, 1)
})

test("ollama: queries and documents have the prefixes of the model", async () => {
  const embedder = ollama()
  await embedder.embed(["one"], { kind: "query" })
  await embedder.embed(["one"])
  assert.deepEqual(
    server.requests.map(({ body }) => body.input[0]),
    ["search_query: one", "search_document: one"]
  )
  assert.equal(server.requests[0]!.url, "/api/embed")
})

test("ollama: what it counts, and shorter vectors where the model has more", async () => {
  const embedder = ollama()
  await embedder.embed(["one"])
  assert.deepEqual(embedder.usage, { requests: 1, retries: 0, texts: 1, tokens: 5, cost: 0 })
  await ollamaEmbedder({ host: server.url(), model: "my-model", dimensions: DIMENSIONS }).embed(["one"])
  assert.deepEqual(
    server.requests.map(({ body }) => [body.model, body.dimensions, body.input[0]]),
    [
      ["nomic-embed-text", DIMENSIONS, "search_document: one"],
      ["my-model", undefined, "one"]
    ]
  )
})

test("ollama: OLLAMA_HOST may lack its scheme and port, and any address is this machine", async (t) => {
  t.after(() => {
    delete process.env["OLLAMA_HOST"]
  })
  process.env["OLLAMA_HOST"] = server.url().replace("http://127.0.0.1", "0.0.0.0")
  await ollamaEmbedder({ dimensions: DIMENSIONS }).embed(["one"])
  assert.equal(server.requests.length, 1)
  assert.throws(() => ollamaEmbedder({ host: "http://[" }), { _tag: "InvalidParameter", parameter: "host" })
})

test("ollama: no server, a model that is not pulled, and one that embeds nothing are told apart", async () => {
  const says = (reason: EmbedderFailureReason, httpStatus: number | undefined, text: RegExp) => (error: unknown) => {
    assert.match(String((error as Error).message), text)
    return fails(reason, httpStatus)(error)
  }
  const nowhere = ollamaEmbedder({ host: "0.0.0.0:1", clock: testClock() })
  await assert.rejects(nowhere.embed(["one"]), says("unreachable", undefined, /127\.0\.0\.1:1.*ollama serve/))
  server.faults.push({ status: 404, body: '{"error":"model \\"x\\" not found, try pulling it first"}' })
  await assert.rejects(ollama().embed(["one"]), says("model-missing", 404, /ollama pull nomic-embed-text/))
  server.faults.push({ status: 501, body: '{"error":"this model does not support embeddings"}' })
  await assert.rejects(ollama().embed(["one"]), says("not-an-embedding-model", 501, /such as nomic-embed-text/))
  assert.equal(server.requests.length, 2)
})

test("options out of range are refused", () => {
  for (const make of [openaiEmbedder, ollamaEmbedder]) {
    assert.throws(() => make({ model: "unknown" }), { _tag: "InvalidParameter", parameter: "dimensions" })
    for (const dimensions of [0, 1.5, 8193]) {
      assert.throws(() => make({ dimensions }), { _tag: "InvalidParameter", parameter: "dimensions" })
    }
  }
  const wrong = [
    { batchSize: 2049 },
    { concurrency: 0 },
    { requestsPerMinute: 0 },
    { timeout: 2 ** 31 },
    { maxRetries: -1 },
    { pricePerMillionTokens: Number.NaN },
    { baseUrl: "api.example.com" }
  ]
  for (const options of wrong) {
    const [parameter] = Object.keys(options)
    assert.throws(() => openaiEmbedder({ apiKey: "sk", ...options }), { _tag: "InvalidParameter", parameter })
  }
})
