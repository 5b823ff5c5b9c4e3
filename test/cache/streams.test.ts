/** Streams of bytes behind the cache, and streams whose source falls silent. */
import assert from "node:assert/strict"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, test } from "node:test"
import type { AskModel, CacheRequest, SemanticCache } from "../../src/cache.ts"
import { Cancelled } from "../../src/index.ts"
import { ask, gate, withCache } from "./caches.ts"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const drained = async (stream: AsyncIterable<unknown>): Promise<ReadonlyArray<unknown>> => {
  const chunks: Array<unknown> = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

const byteStream = (chunks: ReadonlyArray<Uint8Array>): ReadableStream<Uint8Array> => {
  const left = chunks.map((chunk) => new Uint8Array(chunk))
  return new ReadableStream({
    type: "bytes",
    pull: (controller) => {
      const next = left.shift()
      if (next !== undefined) return controller.enqueue(next)
      controller.close()
      controller.byobRequest?.respond(0)
    }
  })
}

/** Reads into memory of the reader's own, as only streams of bytes can be read. */
const readInto = async (stream: ReadableStream<Uint8Array>, size: number): Promise<Buffer> => {
  const reader = stream.getReader({ mode: "byob" })
  const pieces: Array<Buffer> = []
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(size))
    if (done) return Buffer.concat(pieces)
    pieces.push(Buffer.from(value))
  }
}

describe("streams of bytes", () => {
  const chunks = [utf8("mé"), new Uint8Array([0, 255, 128]), utf8("ow")]

  test("are kept and replayed chunk by chunk, as the kind that they were", async () => {
    await withCache({}, async ({ cache }) => {
      const iterable = cache.wrap(async function* () {
        yield* chunks
      } as AskModel<CacheRequest, AsyncIterable<Uint8Array>>)
      const readable = cache.wrap(() => ReadableStream.from(chunks) as ReadableStream<Uint8Array>)
      const bytes = cache.wrap(() => byteStream(chunks))
      for (const _ of [0, 1]) {
        const { value } = await iterable(ask("cat 0"))
        assert.equal(value instanceof ReadableStream, false)
        assert.deepEqual(await drained(value), chunks)
        const stream = (await readable(ask("dog 0"))).value
        assert.ok(stream instanceof ReadableStream)
        assert.deepEqual(await drained(stream), chunks)
        assert.deepEqual(await readInto((await bytes(ask("sun 0"))).value, 2), Buffer.concat(chunks))
      }
      assert.equal(cache.stats().hits.exact, 3)
      const found = await cache.get(ask("cat 0"))
      assert.ok(found.isHit && found.form === "iterable-bytes")
      assert.deepEqual(found.value, chunks)
    })
  })

  test("a body that was fetched is one, and what a reader does to its bytes no other sees", async () => {
    await using server = createServer((_, response) => response.end("a body of bytes"))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    await withCache({}, async ({ cache }) => {
      const model = cache.wrap(async () => (await fetch(url)).body!)
      const [first, second] = await Promise.all([model(ask("cat 0")), model(ask("cat 0"))])
      for await (const chunk of first!.value) chunk.fill(0)
      assert.equal(await new Response(second!.value).text(), "a body of bytes")
      assert.equal(await new Response((await model(ask("cat 0"))).value).text(), "a body of bytes")
    })
  })

  const sent: ReadonlyArray<readonly [text: string, kept: "kept" | "unfinished" | "tool-calls" | "error"]> = [
    [
      'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
      "kept"
    ],
    ['data: {"choices":[{"delta":{"content":"a"}}]}\n\n', "unfinished"],
    ['data: {"choices":[{"finish_reason":"length"}]}\r\n\r\n', "unfinished"],
    ['event: x\ndata:{"choices":[{"finish_reason":"tool_calls"}]}\n\n', "tool-calls"],
    ['{"response":"a","done":false}\n{"response":"","done":true,"done_reason":"stop"}\n', "kept"],
    ['{"response":"a","done":false}\n{"response":"b","done":false}\n', "unfinished"],
    ['{"error":{"message":"overloaded"}}', "error"],
    ["plain words, {not json}", "kept"]
  ]
  for (const [text, kept] of sent) {
    test(`what events of a server say of the answer counts: ${JSON.stringify(text).slice(0, 60)}, ${kept}`, async () => {
      await withCache({}, async ({ cache }) => {
        // Cut within a character or an event.
        const pieces = [...utf8(text)].map((byte) => new Uint8Array([byte]))
        await drained((await cache.wrap(() => byteStream(pieces))(ask("cat 0"))).value)
        assert.deepEqual(cache.stats().unkept, kept === "kept" ? {} : { [kept]: 1 })
      })
    })
  }

  test("bytes among other chunks are not kept", async () => {
    await withCache({}, async ({ cache }) => {
      const mixed = (...parts: ReadonlyArray<unknown>) => cache.wrap(() => ReadableStream.from(parts))
      assert.deepEqual(await drained((await mixed("a", utf8("b"))(ask("cat 0"))).value), ["a", utf8("b")])
      assert.deepEqual(await drained((await mixed(utf8("b"), "a")(ask("cat 0"))).value), [utf8("b"), "a"])
      assert.deepEqual(cache.stats().unkept, { "not-json": 2 })
      for (const [answer, form] of [
        [["no bytes"], "readable-bytes"],
        ["no chunks", "readable-bytes"],
        ["no chunks", "iterable"]
      ] as const) {
        const kept = await cache.set(ask("cat 0"), answer, { form })
        assert.ok(!kept.isKept && kept.reason === "not-json")
      }
    })
  })
})

describe("a source that falls silent", () => {
  /** A stream that says one thing and then nothing for ever, and ends with its signal. */
  const silent = (cache: SemanticCache) => {
    const told = { aborted: 0 }
    const never = gate()
    const model = cache.wrap(async function* (_: CacheRequest, { signal }) {
      yield "a"
      signal.addEventListener("abort", () => {
        told.aborted++
        never.reject(new Error("aborted"))
      })
      await never.promise
    } as AskModel<CacheRequest, AsyncIterable<string>>)
    return { told, model }
  }

  test("does not hold a caller whose signal fires, and its call is aborted", async () => {
    await withCache({}, async ({ cache }) => {
      const { told, model } = silent(cache)
      const controller = new AbortController()
      const reader = (await model(ask("cat 0"), { signal: controller.signal })).value[Symbol.asyncIterator]()
      await reader.next()
      const waiting = reader.next()
      controller.abort()
      await assert.rejects(waiting, Cancelled)
      assert.equal(told.aborted, 1)
    })
  })

  test("goes on for those who stay", async () => {
    await withCache({}, async ({ cache }) => {
      const { told, model } = silent(cache)
      const controller = new AbortController()
      const [gone, stays] = await Promise.all([model(ask("cat 0"), { signal: controller.signal }), model(ask("cat 0"))])
      const [first, second] = [gone!.value[Symbol.asyncIterator](), stays!.value[Symbol.asyncIterator]()]
      await first.next()
      await second.next()
      const waiting = [first.next(), second.next()]
      controller.abort()
      await assert.rejects(waiting[0]!, Cancelled)
      assert.equal(told.aborted, 0)
      await second.return?.()
      assert.equal(told.aborted, 1)
      await assert.doesNotReject(waiting[1]!)
    })
  })
})
