/** The embedders behind HTTP, against a server that speaks their wire format, whole and failing. */
import assert from "node:assert/strict"
import { after, beforeEach, describe, test } from "node:test"
import type { Clock } from "../../src/core/embed/clock.ts"
import { ollamaEmbedder } from "../../src/core/embed/ollama.ts"
import { openaiEmbedder } from "../../src/core/embed/openai.ts"
import { Cancelled, type EmbedderFailureReason, EmbedderRequestFailed } from "../../src/core/errors.ts"
import { embedderContract } from "../contract/embedder.ts"
import { EmbeddingServer, type Fault } from "./embedding-server.ts"
import { testClock } from "./test-clock.ts"

const DIMENSIONS = 64
const server = new EmbeddingServer(DIMENSIONS)
const url = await server.listen()
after(() => server.close())
beforeEach(() => {
  server.requests.length = 0
  server.faults.length = 0
})

interface Options {
  readonly clock?: Clock
  readonly timeout?: number
  readonly maxRetries?: number
}

const openai = (options: Options = {}) =>
  openaiEmbedder({
    baseUrl: `${url}/v1/`,
    apiKey: "sk-test",
    organization: "org-1",
    dimensions: DIMENSIONS,
    ...options
  })
const ollama = (options: Options = {}) => ollamaEmbedder({ host: url, dimensions: DIMENSIONS, ...options })

embedderContract("openai", openai)
embedderContract("ollama", ollama)

const fails =
  (reason: EmbedderFailureReason, httpStatus?: number) =>
  (error: unknown): true => {
    assert.ok(error instanceof EmbedderRequestFailed, String(error))
    assert.equal(error.reason, reason, error.message)
    assert.equal(error.httpStatus, httpStatus)
    return true
  }

for (const [name, make] of [["openai", openai] as const, ["ollama", ollama] as const]) {
  describe(`faults of ${name}`, () => {
    test("429 waits as long as Retry-After says, then succeeds", async () => {
      server.faults.push({ status: 429, body: "{}", headers: { "retry-after": "7" } })
      const clock = testClock()
      const vectors = await make({ clock }).embed(["one"])
      assert.equal(vectors.length, DIMENSIONS)
      assert.deepEqual(clock.slept, [7000])
    })

    test("Retry-After may be a date, and milliseconds go before it", async () => {
      const headers = { "retry-after": new Date(Date.now() + 30_000).toUTCString() }
      server.faults.push({ status: 429, body: "{}", headers })
      server.faults.push({ status: 503, body: "{}", headers: { ...headers, "retry-after-ms": "12.5" } })
      const clock = testClock()
      await make({ clock }).embed(["one"])
      const [first = 0, second] = clock.slept
      assert.ok(first > 20_000 && first <= 30_000, `${first} ms`)
      assert.equal(second, 12.5)
    })

    test("500 and a cut connection are retried after growing, jittered waits", async () => {
      server.faults.push({ status: 500, body: "oops" }, "cut", "cut-body")
      const clock = testClock()
      await make({ clock }).embed(["one"])
      assert.equal(server.requests.length, 4)
      for (const [i, ms] of clock.slept.entries()) assert.ok(ms >= 250 * 2 ** i && ms <= 500 * 2 ** i, `${ms} ms`)
    })

    test("retries end", async () => {
      const fault: Fault = { status: 503, body: "busy" }
      server.faults.push(fault, fault, fault, fault)
      const failing = make({ clock: testClock(), maxRetries: 2 }).embed(["one"])
      await assert.rejects(
        failing,
        (error) => fails("server", 503)(error) && (error as EmbedderRequestFailed).retryable
      )
      assert.equal(server.requests.length, 3)
    })

    test("a wait beyond the deadline is not begun", async () => {
      server.faults.push({ status: 429, body: "{}", headers: { "retry-after": "61" } })
      const clock = testClock()
      await assert.rejects(make({ clock }).embed(["one"]), (error) => {
        assert.equal((error as EmbedderRequestFailed).retryAfter, 61_000)
        return fails("rate-limited", 429)(error)
      })
      assert.deepEqual(clock.slept, [])
    })

    for (const status of [400, 401, 403]) {
      test(`${status} is not retried`, async () => {
        server.faults.push({ status, body: '{"error":{"message":"no","code":null}}' })
        const reason = status === 400 ? "rejected" : "authentication"
        await assert.rejects(make({ clock: testClock() }).embed(["one"]), (error) => {
          assert.equal((error as EmbedderRequestFailed).retryable, false)
          return fails(reason, status)(error)
        })
        assert.equal(server.requests.length, 1)
      })
    }

    test("a slow answer runs out of time", async () => {
      server.faults.push("slow")
      await assert.rejects(make({ timeout: 30 }).embed(["one"]), fails("timeout"))
    })

    test("the deadline is one for all attempts", async () => {
      const fault: Fault = { status: 500, body: "{}", headers: { "retry-after": "25" } }
      server.faults.push(fault, fault, fault, fault)
      const clock = testClock()
      await assert.rejects(make({ clock }).embed(["one"]), fails("server", 500))
      assert.deepEqual(clock.slept, [25_000, 25_000])
    })

    test("a wait between attempts can be cancelled", async () => {
      server.faults.push({ status: 429, body: "{}", headers: { "retry-after": "50" } })
      const controller = new AbortController()
      const running = make().embed(["one"], { signal: controller.signal })
      setTimeout(() => controller.abort(), 50)
      await assert.rejects(running, Cancelled)
      assert.equal(server.requests.length, 1)
    })

    test("a slow answer can be cancelled", async () => {
      server.faults.push("slow")
      const controller = new AbortController()
      const running = make().embed(["one"], { signal: controller.signal })
      setTimeout(() => controller.abort(), 10)
      await assert.rejects(running, Cancelled)
    })

    for (const fault of ["wrong-dimension", "nan", "one-missing", { status: 200, body: '{"x":NaN}' }] as const) {
      test(`${typeof fault === "string" ? fault : "an answer that is no JSON"} is refused`, async () => {
        server.faults.push(fault)
        await assert.rejects(make().embed(["one", "two"]), (error) => {
          assert.ok(error instanceof EmbedderRequestFailed)
          assert.equal(error.reason, "invalid-response")
          return true
        })
        assert.equal(server.requests.length, 1)
      })
    }
  })
}

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
  process.env["OPENAI_BASE_URL"] = `${url}/other/v1`
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
  const at = { baseUrl: `${url}/v1` }
  await openaiEmbedder({ ...at, model: "bge-small", dimensions: DIMENSIONS }).embed(["one"])
  await openaiEmbedder({ ...at, model: "text-embedding-3-large", dimensions: DIMENSIONS }).embed(["one"])
  assert.deepEqual(
    server.requests.map(({ body }) => body.dimensions),
    [undefined, DIMENSIONS]
  )
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
  await ollamaEmbedder({ host: url, model: "my-model", dimensions: DIMENSIONS }).embed(["one"])
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
  process.env["OLLAMA_HOST"] = url.replace("http://127.0.0.1", "0.0.0.0")
  await ollamaEmbedder({ dimensions: DIMENSIONS }).embed(["one"])
  assert.equal(server.requests.length, 1)
  assert.throws(() => ollamaEmbedder({ host: "http://[" }), { _tag: "InvalidParameter", parameter: "host" })
})

test("ollama: no server, a model that is not pulled, and one that embeds nothing are told apart", async () => {
  const says = (reason: EmbedderFailureReason, httpStatus: number | undefined, text: RegExp) => (error: unknown) => {
    assert.match(String((error as Error).message), text)
    return fails(reason, httpStatus)(error)
  }
  const nowhere = ollamaEmbedder({ host: "127.0.0.1:1", clock: testClock() })
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
