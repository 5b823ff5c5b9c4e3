/** What the embedders behind HTTP do when their server fails. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type Clock, systemClock } from "../../src/core/embed/clock.ts"
import { Cancelled, EmbedderRequestFailed } from "../../src/core/errors.ts"
import { embedderContract } from "../contract/embedder.ts"
import type { Fault } from "./embedding-server.ts"
import { asked, DIMENSIONS, fails, ollama, openai, server } from "./served.ts"
import { testClock } from "./test-clock.ts"

embedderContract("openai", openai)
embedderContract("ollama", ollama)

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

    test("an error that goes on and on is told in short", async () => {
      server.faults.push({ status: 400, body: JSON.stringify({ error: { message: "no ".repeat(100_000) } }) })
      await assert.rejects(make().embed(["one"]), (error: Error) => error.message.length < 2000)
    })

    test("texts are those of the call, whatever becomes of their array", async () => {
      const texts = Array.from({ length: 6 }, (_, i) => `text ${i}`)
      const running = make({ batchSize: 1 }).embed(texts)
      texts.length = 3
      assert.deepEqual(await running, await make().embed(["text 0", "text 1", "text 2", "text 3", "text 4", "text 5"]))
    })

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
      const sleep: Clock["sleep"] = (ms, signal) => {
        setImmediate(() => controller.abort())
        return systemClock.sleep(ms, signal)
      }
      const running = make({ clock: { ...systemClock, sleep } }).embed(["one"], { signal: controller.signal })
      await assert.rejects(running, Cancelled)
      assert.equal(server.requests.length, 1)
    })

    test("a slow answer can be cancelled", async () => {
      server.faults.push("slow")
      const controller = new AbortController()
      const running = make().embed(["one"], { signal: controller.signal })
      await asked(1)
      controller.abort()
      await assert.rejects(running, Cancelled)
    })

    for (const fault of [
      "wrong-dimension",
      "nan",
      "one-missing",
      "endless",
      { status: 200, body: '{"x":NaN}' }
    ] as const) {
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
