/** Functions behind the cache: who calls the model, what is kept of what it says, and how streams pass. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type Answered, type CacheRequest, semanticCache } from "../../src/cache.ts"
import { Cancelled, Closed, NotCached, open } from "../../src/index.ts"
import { ask, drained, gate, until, withCache } from "./caches.ts"

async function* chunks(...values: ReadonlyArray<unknown>): AsyncGenerator<unknown> {
  yield* values
}

describe("one call for many", () => {
  test("a stampede of the same question calls the model once, and each caller has a copy of its own", async () => {
    await withCache({}, async ({ cache }) => {
      let calls = 0
      const { promise, resolve } = gate()
      const model = cache.wrap(async () => {
        calls++
        await promise
        return { text: "meow" }
      })
      const callers = Array.from({ length: 200 }, () => model(ask("cat 0")))
      await until(() => calls > 0)
      const late = Array.from({ length: 100 }, () => model(ask("cat 0")))
      resolve()
      const answers = await Promise.all([...callers, ...late])
      assert.equal(calls, 1)
      assert.equal(answers.filter(({ isShared }) => !isShared).length, 1)
      answers[0]!.value.text = "changed"
      answers[1]!.value.text = "changed too"
      assert.equal(answers[2]!.value.text, "meow")
      assert.deepEqual((await model(ask("cat 0"))).value, { text: "meow" })
      assert.equal(calls, 1)
      assert.equal(cache.stats().shared, 299)
    })
  })

  test("a failure is everybody's and nobody's afterwards", async () => {
    await withCache({}, async ({ cache }) => {
      let calls = 0
      const model = cache.wrap(async () => {
        if (++calls > 1) return calls
        await until(() => cache.stats().shared === 1)
        throw new Error("no model")
      })
      const results = await Promise.allSettled([model(ask("cat 0")), model(ask("cat 0"))])
      for (const result of results) assert.ok(result.status === "rejected" && /no model/.test(String(result.reason)))
      assert.equal((await model(ask("cat 0"))).value, 2)
    })
  })

  test("a caller who turns away is told at once, and the call goes on for the others", async () => {
    await withCache({}, async ({ cache }) => {
      const { promise, resolve } = gate()
      let given: AbortSignal | undefined
      const model = cache.wrap(async (_, { signal }) => {
        given = signal
        await promise
        return "meow"
      })
      const controller = new AbortController()
      const gone = model(ask("cat 0"), { signal: controller.signal })
      const stays = model(ask("cat 0"))
      await until(() => given !== undefined)
      controller.abort()
      await assert.rejects(gone, Cancelled)
      assert.equal(given?.aborted, false)
      resolve()
      assert.equal((await stays).value, "meow")
    })
  })

  test("when all have turned away the call is aborted, and the next who asks calls again", async () => {
    await withCache({}, async ({ cache }) => {
      const signals: Array<AbortSignal> = []
      const model = cache.wrap(
        (_, { signal }) =>
          new Promise<string>((resolve, reject) => {
            if (signals.push(signal) === 2) resolve("meow")
            signal.addEventListener("abort", () => reject(signal.reason))
          })
      )
      const controllers = [new AbortController(), new AbortController()]
      const gone = controllers.map(({ signal }) => model(ask("cat 0"), { signal }))
      const told = Promise.allSettled(gone)
      await until(() => signals.length > 0)
      for (const controller of controllers) controller.abort()
      for (const result of await told) assert.ok(result.status === "rejected" && result.reason instanceof Cancelled)
      assert.equal(signals[0]!.aborted, true)
      assert.equal((await model(ask("cat 0"))).value, "meow")
    })
  })
})

describe("what is kept", () => {
  const unkept: ReadonlyArray<readonly [reason: string, answer: unknown]> = [
    ["tool-calls", { choices: [{ finish_reason: "tool_calls", message: { tool_calls: [{ id: "1" }] } }] }],
    ["tool-calls", { content: [{ type: "tool-call", toolName: "x" }], finishReason: { unified: "stop" } }],
    ["tool-calls", { stop_reason: "tool_use", content: [{ type: "tool_use" }] }],
    ["tool-calls", { output: [{ type: "function_call" }], object: "response", status: "completed" }],
    ["tool-calls", { object: "response", status: "completed", output: [{ type: "custom_tool_call", name: "look" }] }],
    ["tool-calls", { object: "response", status: "completed", output: [{ type: "computer_call" }] }],
    ["tool-calls", { object: "response", status: "completed", output: [{ type: "local_shell_call" }] }],
    ["tool-calls", { object: "response", status: "completed", output: [{ type: "mcp_approval_request" }] }],
    ["tool-calls", { finishReason: { unified: "stop" }, content: [{ type: "tool-approval-request" }] }],
    ["unfinished", { choices: [{ finish_reason: "length", message: { content: "cut" } }] }],
    ["unfinished", { finishReason: "length", content: [] }],
    ["unfinished", { stop_reason: "max_tokens" }],
    ["unfinished", { object: "response", status: "incomplete", output: [] }],
    ["refused", { choices: [{ finish_reason: "content_filter" }] }],
    ["refused", { choices: [{ finish_reason: "stop", message: { refusal: "I cannot" } }] }],
    ["refused", { stop_reason: "refusal" }],
    ["error", { error: { message: "overloaded" } }],
    ["error", { choices: [{ finish_reason: "stop" }], error: "late" }],
    ["not-json", undefined],
    ["not-json", { big: 1n }],
    ["not-json", { score: Number.NaN }],
    ["not-json", [Number.NEGATIVE_INFINITY]],
    ["not-json", { at: new Date(Number.NaN) }],
    ["not-json", { parts: [undefined] }],
    ["not-json", [() => "late"]],
    ["not-json", { cause: new Error("late") }],
    ["not-json", { bytes: new Uint8Array(3) }],
    ["not-json", new Map([[1, 2]])],
    ["too-large", "x".repeat(5000)],
    ["too-large", "é".repeat(2600)]
  ]
  for (const [reason, answer] of unkept) {
    test(`${reason}: ${JSON.stringify(answer, (_, value) => (typeof value === "bigint" ? "1n" : value))?.slice(0, 60)}`, async () => {
      await withCache({ maxAnswerBytes: 5000 }, async ({ cache }) => {
        const kept = await cache.set(ask("cat 0"), answer)
        assert.ok(!kept.isKept)
        assert.equal(kept.reason, reason)
        assert.deepEqual(cache.stats().unkept, { [reason]: 1 })
        assert.equal((await cache.get(ask("cat 0"))).isHit, false)
      })
    })
  }

  const deep = () => Array.from({ length: 100_000 }).reduce<unknown>((inner) => [inner], 1)
  const failing = (what: string) => ({
    get [what]() {
      throw new Error("not to be read")
    }
  })

  test("what cannot be read is not kept, and each who asks for it has it", async () => {
    await withCache({}, async ({ cache }) => {
      const answers = [deep(), failing("text"), failing("toJSON")]
      for (const [i, answer] of answers.entries()) {
        const model = cache.wrap(async () => {
          await until(() => cache.stats().shared > i)
          return answer
        })
        const both = await Promise.all([model(ask("cat 0")), model(ask("cat 0"))])
        for (const { value } of both) assert.equal(value, answer)
        const kept = await cache.set(ask("cat 0"), answer)
        assert.ok(!kept.isKept && kept.reason === "not-json")
        const streaming = cache.wrap(() => chunks("a", answer, "b"))
        assert.equal((await drained((await streaming(ask("cat 0"))).value)).length, 3)
      }
      const { unkept, failures, stored } = cache.stats()
      assert.deepEqual([unkept, failures, stored], [{ "not-json": 9 }, 0, 0])
    })
  })

  test("of what is longer than an answer may be no more is read than tells", async () => {
    await withCache({ maxAnswerBytes: 5000 }, async ({ cache }) => {
      let read = 0
      const part = {
        get text() {
          read++
          return "x".repeat(100)
        }
      }
      const kept = await cache.set(
        ask("cat 0"),
        Array.from({ length: 100_000 }, () => part)
      )
      assert.ok(!kept.isKept && kept.reason === "too-large")
      assert.ok(read < 100, `${read} parts were read`)
      // As long as may be, and one byte longer.
      assert.equal((await cache.set(ask("cat 0"), "x".repeat(4998))).isKept, true)
      for (const [length, isKept] of [
        [4996, true],
        [4997, false]
      ] as const) {
        const model = cache.wrap(() => chunks("é".repeat(2), "x".repeat(length - 7)))
        await drained((await model(ask("dog 0"))).value)
        assert.equal((await cache.get(ask("dog 0"))).isHit, isKept, `${length}`)
        await cache.invalidate({ scope: ask("") })
      }
    })
  })

  test("what is whole is kept, and what a caller says of it counts before what it says itself", async () => {
    await withCache({}, async ({ cache }) => {
      const whole = { choices: [{ finish_reason: "stop", message: { content: "meow", tool_calls: [] } }] }
      assert.equal((await cache.set(ask("cat 0"), whole)).isKept, true)
      const unvalidated = await cache.set(ask("dog 0"), whole, { isUnvalidated: true })
      assert.ok(!unvalidated.isKept && unvalidated.reason === "unvalidated")
      assert.equal((await cache.set(ask("sun 0"), { finishReason: "length" }, { finish: "stop" })).isKept, true)
    })
  })

  test("what is known of an answer may take time, also to a cache, and is of what the answer was by then", async () => {
    const validated = async (answer: unknown) => {
      const isUnvalidated = (answer as { good: boolean }).good === false
      await new Promise(setImmediate)
      return { isUnvalidated }
    }
    await withCache({ facts: validated }, async ({ cache }) => {
      const kept = await cache.set(ask("cat 0"), { good: false })
      assert.ok(!kept.isKept && kept.reason === "unvalidated")
      const answer: Record<string, unknown> = { good: true }
      const setting = cache.set(ask("cat 0"), answer)
      answer["good"] = false
      assert.equal((await setting).isKept, true)
      const found = await cache.get(ask("cat 0"))
      assert.deepEqual(found.isHit && found.value, { good: true })
    })
    await withCache({}, async ({ cache }) => {
      const answer: Record<string, unknown> = { good: true }
      const model = cache.wrap(async () => answer)
      const asking = model(ask("cat 0"), {
        facts: (answer) => {
          const facts = validated(answer)
          ;(answer as Record<string, unknown>)["good"] = false
          return facts
        }
      })
      await asking
      const found = await cache.get(ask("cat 0"))
      assert.deepEqual(found.isHit && found.value, { good: true })
      await model(ask("dog 0"), { facts: validated })
      assert.equal((await cache.get(ask("dog 0"))).isHit, false)
    })
  })

  test("what is never known of an answer keeps neither its caller nor the cache from ending", {
    timeout: 9000
  }, async () => {
    const facts = () => new Promise<never>(() => undefined)
    await using db = await open(":memory:")
    const cache = await semanticCache(db, { dimensions: 2, facts })
    let calls = 0
    const model = cache.wrap(async () => ++calls)
    const asking = model(ask("cat 0"), { vector: [1, 0] })
    const own = model(ask("dog 0"), { vector: [0, 1], facts })
    const setting = cache.set(ask("sun 0"), 1)
    await until(() => calls === 2)
    await cache.close()
    await assert.rejects(setting, Closed)
    assert.deepEqual([(await asking).value, (await own).value], [1, 2])
  })

  test("an event that tells how far a response is, and the text that a model stopped at, are no ends", async () => {
    const response = (status: string) => ({ type: `response.${status}`, response: { object: "response", status } })
    const streams: ReadonlyArray<readonly [last: string, isKept: boolean]> = [
      ["completed", true],
      ["incomplete", false],
      ["failed", false],
      ["in_progress", false]
    ]
    await withCache({}, async ({ cache }) => {
      for (const [last, isKept] of streams) {
        const chunks = [response("queued"), response("in_progress"), { type: "delta", delta: "a" }, response(last)]
        assert.equal((await cache.set(ask("cat 0"), chunks, { form: "iterable" })).isKept, isKept, last)
      }
      const stopped = { choices: [{ finish_reason: "stop", stop_reason: "###", message: { content: "meow" } }] }
      assert.equal((await cache.set(ask("dog 0"), stopped)).isKept, true)
    })
  })

  test("refresh, bypass and only", async () => {
    await withCache({}, async ({ cache }) => {
      let calls = 0
      const model = cache.wrap(async () => ++calls)
      await assert.rejects(model(ask("cat 0"), { source: "only" }), NotCached)
      await model(ask("cat 0"), { source: "bypass" })
      assert.equal((await cache.get(ask("cat 0"))).isHit, false)
      await model(ask("cat 0"))
      assert.equal((await model(ask("cat 0"), { source: "refresh" })).value, 3)
      assert.equal((await model(ask("cat 0"), { source: "only" })).value, 3)
      assert.equal(calls, 3)
    })
  })

  test("an answer that was being made when it was invalidated is not kept", async () => {
    await withCache({}, async ({ cache }) => {
      const { promise, resolve } = gate()
      let calls = 0
      const model = cache.wrap(async () => {
        calls++
        await promise
        return "of the old document"
      })
      const answering = model(ask("cat 0"), { sources: ["cats.md"] })
      const other = model(ask("dog 0"), { sources: ["dogs.md"] })
      await until(() => calls === 2)
      assert.equal(await cache.invalidate({ source: "cats.md" }), 0)
      resolve()
      assert.equal((await answering).value, "of the old document")
      await other
      assert.equal((await cache.get(ask("cat 0"))).isHit, false)
      assert.equal((await cache.get(ask("dog 0"))).isHit, true)
      assert.deepEqual(cache.stats().unkept, { invalidated: 1 })
    })
  })

  test("a stale answer is served at once and fetched anew once", async () => {
    await withCache({ ttlMs: 100, staleMs: 50 }, async ({ cache, pass }) => {
      let calls = 0
      const model = cache.wrap(async () => ++calls)
      await model(ask("cat 0"))
      pass(120)
      const stale = await Promise.all([model(ask("cat 0")), model(ask("cat 0"))])
      for (const { value, lookUp } of stale) assert.ok(value === 1 && lookUp.isHit && lookUp.isStale)
      await until(() => cache.stats().stored === 2)
      const fresh = await model(ask("cat 0"))
      assert.ok(fresh.value === 2 && fresh.lookUp.isHit && !fresh.lookUp.isStale)
      pass(150)
      assert.equal((await model(ask("cat 0"))).value, 3)
    })
  })
})

test("who asks once an answer that is being made was invalidated has one that was made since, whichever way that was", async () => {
  await withCache({}, async ({ cache, pass }) => {
    const { key } = await cache.get(ask("cat 0"))
    for (const which of [{ tag: "t" }, { source: "s" }, { key }, { scope: ask("dog 0") }, { olderThanMs: 0 }]) {
      const gates = [gate(), gate()]
      let calls = 0
      const model = cache.wrap(async () => {
        const call = calls++
        await gates[call]!.promise
        return call
      })
      const asking = () => model(ask("cat 0"), { tags: ["t"], sources: ["s"] })
      const before = [asking()]
      await until(() => calls === 1)
      assert.equal(await cache.invalidate({ tag: "another" }), 0)
      before.push(asking(), asking())
      await cache.invalidate(which)
      pass(1)
      const after = [asking(), asking()]
      await until(() => calls === 2)
      for (const { resolve } of gates.reverse()) resolve()
      assert.deepEqual(
        (await Promise.all(before)).map(({ value }) => value),
        [0, 0, 0]
      )
      assert.deepEqual(
        (await Promise.all(after)).map(({ value }) => value),
        [1, 1]
      )
      const kept = await cache.get(ask("cat 0"))
      assert.ok(kept.isHit && kept.value === 1, JSON.stringify(which))
      await cache.invalidate({ key })
    }
  })
})

test("who asks once it was invalidated is not told of the failure of a call that began before, at whatever moment", async () => {
  for (let moment = 0; moment < 10; moment++) {
    await withCache({}, async ({ cache }) => {
      const { promise, resolve } = gate()
      let calls = 0
      const model = cache.wrap(async () => {
        if (++calls > 1) return "new"
        await promise
        throw new Error("down")
      })
      const failing = assert.rejects(model(ask("cat 0")), /down/)
      await until(() => calls === 1)
      await cache.invalidate({ scope: ask("") })
      let then: Promise<void> = promise
      for (let i = 0; i < moment; i++) then = then.then(() => undefined)
      const second = then.then(() => model(ask("cat 0")))
      resolve()
      await failing
      assert.equal((await second).value, "new", `${moment}`)
    })
  }
})

describe("streams", () => {
  const streamed = (answered: Answered<AsyncIterable<unknown>>) => drained(answered.value)

  test("an iterable and a readable are each recorded and replayed as what they were", async () => {
    await withCache({}, async ({ cache }) => {
      const iterable = cache.wrap(() => chunks("a", { b: 1 }))
      const readable = cache.wrap(async () => ReadableStream.from(["a", { b: 1 }]) as ReadableStream<unknown>)
      for (const prompt of ["cat 0", "cat 0"]) {
        const answered = await iterable(ask(prompt))
        assert.equal(answered.value instanceof ReadableStream, false)
        assert.deepEqual(await streamed(answered), ["a", { b: 1 }])
      }
      for (const prompt of ["dog 0", "dog 0"]) {
        const { value } = await readable(ask(prompt))
        assert.ok(value instanceof ReadableStream)
        assert.deepEqual(await drained(value), ["a", { b: 1 }])
      }
      assert.equal(cache.stats().hits.exact, 2)
    })
  })

  test("callers of one stream each have all of it, and the model is asked for a chunk when one of them wants it", async () => {
    await withCache({}, async ({ cache }) => {
      let pulled = 0
      const model = cache.wrap(async function* () {
        for (; pulled < 10; pulled++) yield pulled
      } as () => AsyncIterable<number>)
      const [first, second] = await Promise.all([model(ask("cat 0")), model(ask("cat 0"))])
      const reader = first!.value[Symbol.asyncIterator]()
      await reader.next()
      await reader.next()
      assert.equal(pulled, 1)
      assert.equal((await streamed(second!)).length, 10)
      assert.deepEqual(await reader.next(), { done: false, value: 2 })
      assert.equal(pulled, 10)
    })
  })

  test("what a reader does to a chunk is not kept", async () => {
    await withCache({}, async ({ cache }) => {
      const model = cache.wrap(() => chunks({ text: "a" }, { text: "b" }))
      for await (const chunk of (await model(ask("cat 0"))).value) (chunk as { text: string }).text = "changed"
      assert.deepEqual(await streamed(await model(ask("cat 0"))), [{ text: "a" }, { text: "b" }])
    })
  })

  test("a stream that fails, is left, cancelled, cut or calls a tool is not kept", async () => {
    await withCache({}, async ({ cache }) => {
      let ended = 0
      const endless = async function* () {
        try {
          for (;;) yield "a"
        } finally {
          ended++
        }
      }
      const failing = cache.wrap(async function* () {
        yield "a"
        throw new Error("cut")
      } as () => AsyncIterable<unknown>)
      await assert.rejects(streamed(await failing(ask("cat 0"))), /cut/)

      const left = cache.wrap(() => endless())
      for await (const _ of (await left(ask("cat 0"))).value) break
      assert.equal(ended, 1)

      const readable = cache.wrap(() => ReadableStream.from(endless()) as ReadableStream<unknown>)
      const cancelled = (await readable(ask("cat 0"))).value.getReader()
      await cancelled.read()
      await cancelled.cancel()
      assert.equal(ended, 2)

      const aborted = cache.wrap(() => endless())
      const controller = new AbortController()
      const reader = (await aborted(ask("cat 0"), { signal: controller.signal })).value[Symbol.asyncIterator]()
      await reader.next()
      controller.abort()
      await assert.rejects(reader.next(), Cancelled)
      assert.equal(ended, 3)

      const open = cache.wrap(() => chunks({ choices: [{ delta: { content: "a" }, finish_reason: null }] }))
      await streamed(await open(ask("cat 0")))
      const tool = cache.wrap(() => chunks({ type: "tool-call" }, { type: "finish", finishReason: "tool-calls" }))
      await streamed(await tool(ask("cat 0")))
      assert.deepEqual(cache.stats().unkept, { unfinished: 5, "tool-calls": 1 })
      assert.equal((await cache.get(ask("cat 0"))).isHit, false)
    })
  })

  test("one caller who leaves does not end the stream of another", async () => {
    await withCache({}, async ({ cache }) => {
      const model = cache.wrap(() => chunks(1, 2, 3))
      const [first, second] = await Promise.all([model(ask("cat 0")), model(ask("cat 0"))])
      for await (const _ of first!.value) break
      assert.deepEqual(await streamed(second!), [1, 2, 3])
      assert.equal((await cache.get(ask("cat 0"))).isHit, true)
    })
  })

  test("a stream that is too long passes whole and is not kept", async () => {
    await withCache({ maxAnswerBytes: 10_000 }, async ({ cache }) => {
      const model = cache.wrap(async function* () {
        for (let i = 0; i < 1000; i++) yield { i, text: "x".repeat(100) }
      } as (request: CacheRequest) => AsyncIterable<{ readonly i: number }>)
      let count = 0
      for await (const { i } of (await model(ask("cat 0"))).value) assert.equal(i, count++)
      assert.equal(count, 1000)
      assert.deepEqual(cache.stats().unkept, { "too-large": 1 })
    })
  })
})
