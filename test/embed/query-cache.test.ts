/** What is remembered of queries: by exact text, by vectors to within a tolerance, within entries and bytes. */
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import fc from "fast-check"
import { cachedEmbedder } from "../../src/core/embed/cached.ts"
import type { Embedder } from "../../src/core/embed/embedder.ts"
import { hashEmbedder } from "../../src/core/embed/hash.ts"
import { QueryCache, type VectorQueryCacheOptions } from "../../src/core/embed/query-cache.ts"
import { VectorKeys } from "../../src/core/embed/vector-keys.ts"
import { Cancelled, EmptyEmbedding } from "../../src/core/errors.ts"
import { attach, open } from "../../src/index.ts"
import { embedderContract } from "../contract/embedder.ts"
import { DIMENSIONS, openai, server } from "./served.ts"

const sent = () => server.requests.map(({ body }) => body.input)

embedderContract("hash behind a cache", () => cachedEmbedder(hashEmbedder()))
embedderContract("openai behind a cache", () => cachedEmbedder(openai(), { maxEntries: 3 }))

interface Answer {
  readonly bytes: number
}
const cacheOf = (options?: VectorQueryCacheOptions) => new QueryCache<Answer>(({ bytes }) => bytes, options)
const answer = (bytes = 1): Answer => ({ bytes })

describe("a cache of queries", () => {
  test("texts are keys as they are", () => {
    const cache = cacheOf()
    const value = answer()
    cache.set("text", value)
    assert.equal(cache.get("text"), value)
    for (const other of ["Text", "text ", "", "te\u0301xt"]) assert.equal(cache.get(other), undefined)
    const { bytes, ...counts } = cache.stats()
    assert.deepEqual(counts, { entries: 1, hits: 1, misses: 4, evictions: 0 })
    assert.ok(bytes > 8)
  })

  test("128 entries by default, and the least recently used gives way", () => {
    const cache = cacheOf()
    for (let i = 0; i < 128; i++) cache.set(`${i}`, answer())
    cache.get("0")
    cache.set("one more", answer())
    assert.ok(cache.get("0"))
    assert.equal(cache.get("1"), undefined)
    assert.equal(cache.stats().entries, 128)
    assert.equal(cache.stats().evictions, 1)
  })

  test("bytes bound it too: of texts, vectors and values", () => {
    const cache = cacheOf({ maxEntries: 1000, maxBytes: 10_000 })
    for (let i = 0; i < 100; i++) cache.set(`${i}`, answer(900))
    assert.ok(cache.stats().bytes <= 10_000)
    assert.ok(cache.stats().entries >= 8 && cache.stats().entries <= 10)
    cache.set("x".repeat(6000), answer())
    assert.equal(cache.get("x".repeat(6000)), undefined)
    cache.set(new Float32Array(3000), answer())
    assert.equal(cache.get(new Float32Array(3000)), undefined)
    cache.clear()
    assert.equal(cache.stats().bytes, 0)
  })

  test("what gave way is gone by its vector too", () => {
    const cache = cacheOf({ maxEntries: 2 })
    for (let i = 0; i < 4; i++) cache.set([i, 1], answer())
    assert.deepEqual(
      [0, 1, 2, 3].map((i) => cache.get([i, 1]) !== undefined),
      [false, false, true, true]
    )
  })

  test("what a value too large took away is gone by its vector too", () => {
    const cache = cacheOf({ maxBytes: 1000 })
    cache.set([0, 1], answer())
    cache.set([0, 1], answer(2000))
    assert.deepEqual([cache.get([0, 1]), cache.stats().entries], [undefined, 0])
    cache.set([0.0009, 1], answer())
    // Near the vector that is there, not the one that was.
    assert.notEqual(cache.get([0.0018, 1]), undefined)
  })

  test("a vector finds one that differs by up to 0.001 a component, and takes its place", () => {
    const cache = cacheOf()
    const vector = Float32Array.of(0.1, -0.2, 0.3)
    const [first, second] = [answer(), answer()]
    cache.set(vector, first)
    vector[0] = 9
    for (const near of [[0.1, -0.2, 0.3], [0.1009, -0.2009, 0.2991], Float64Array.of(0.0991, -0.2, 0.3)]) {
      assert.equal(cache.get(near), first, String(near))
    }
    for (const far of [
      [0.1012, -0.2, 0.3],
      [0.1, -0.2, 0.2988],
      [0.1, -0.2],
      [0.1, -0.2, 0.3, 0],
      [Number.NaN, -0.2, 0.3]
    ]) {
      assert.equal(cache.get(far), undefined, String(far))
    }
    cache.set([0.1005, -0.2, 0.3], second)
    assert.equal(cache.get([0.1, -0.2, 0.3]), second)
    assert.equal(cache.stats().entries, 1)
  })

  test("every component of a vector counts", () => {
    const cache = cacheOf()
    const vector = Float32Array.from({ length: 11 }, (_, c) => c / 100)
    const value = answer()
    cache.set(vector, value)
    for (let c = 0; c < vector.length; c++) {
      const moved = (by: number) => vector.map((x, i) => (i === c ? x + by : x))
      assert.equal(cache.get(moved(0.0009)), value)
      for (const by of [0.0011, -0.0011, Number.NaN]) assert.equal(cache.get(moved(by)), undefined, `${c} ${by}`)
    }
  })

  test("finds as a comparison with every vector does", () => {
    const component = fc.integer({ min: -30, max: 30 })
    const vectors = fc.array(fc.array(component, { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(vectors, fc.constantFrom(0, 0.01, 0.05), (all, tolerance) => {
        const cache = cacheOf({ tolerance })
        // Steps of 0.004: none is as far away as a tolerance, to the bit.
        const scaled = all.map((vector) => Float32Array.from(vector, (x) => x * 0.004))
        const isNear = (a: Float32Array, b: Float32Array) => a.every((x, i) => Math.abs(x - b[i]!) <= tolerance)
        const kept: Array<Float32Array> = []
        for (const vector of scaled) {
          const found = kept.filter((other) => isNear(other, vector))
          assert.equal(cache.get(vector) !== undefined, found.length > 0)
          if (found.length > 0) continue
          kept.push(vector)
          cache.set(vector, answer())
        }
        assert.equal(cache.stats().entries, kept.length)
      })
    )
  })

  test("options out of range are refused", () => {
    for (const [parameter, value] of [
      ["maxEntries", 0],
      ["maxBytes", 1.5],
      ["tolerance", -1],
      ["tolerance", 2]
    ] as const) {
      assert.throws(() => cacheOf({ [parameter]: value }), { _tag: "InvalidParameter", parameter })
    }
  })
})

test("a vector that is taken out of the keys finds nothing", () => {
  const keys = new VectorKeys(0.001)
  const [a, b] = [Float32Array.of(0.5, 1), Float32Array.of(0.5, 2)]
  keys.add(a)
  keys.add(b)
  keys.delete(a)
  assert.equal(keys.find(a), undefined)
  assert.equal(keys.find(b), b)
})

describe("a cached embedder", () => {
  test("encodes a text once, and only those of a batch that it lacks", async () => {
    const embedder = cachedEmbedder(openai())
    const fresh = await openai().embed(["b", "a", "b", "c"])
    server.requests.length = 0
    await embedder.embed(["a"])
    assert.deepEqual(await embedder.embed(["b", "a", "b", "c"]), fresh)
    assert.deepEqual(await embedder.embed(["c", "b"]), await openai().embed(["c", "b"]))
    assert.deepEqual(sent(), [["a"], ["b", "c"], ["c", "b"]])
    assert.deepEqual([embedder.cache.stats().hits, embedder.cache.stats().misses], [3, 4])
  })

  test("queries and documents are apart", async () => {
    const embedder = cachedEmbedder(openai())
    await embedder.embed(["a"], { kind: "query" })
    await embedder.embed(["a"])
    await embedder.embed(["a"], { kind: "query" })
    assert.equal(server.requests.length, 2)
  })

  test("vectors are the caller's to change", async () => {
    const embedder = cachedEmbedder(hashEmbedder({ dimensions: DIMENSIONS }))
    const [first, second] = [await embedder.embed(["a"]), await embedder.embed(["a"])]
    const expected = first.slice()
    first.fill(7)
    second.fill(8)
    assert.deepEqual(await embedder.embed(["a"]), expected)
  })

  test("failures are not remembered, and an empty text is named by its place", async () => {
    let calls = 0
    const flaky: Embedder = {
      ...hashEmbedder({ dimensions: DIMENSIONS }),
      embed: (texts) => {
        if (calls++ === 0) throw new Error("down")
        return hashEmbedder({ dimensions: DIMENSIONS }).embed(texts)
      }
    }
    const embedder = cachedEmbedder(flaky)
    await assert.rejects(embedder.embed(["a"]), /down/)
    await embedder.embed(["a", "b"])
    await assert.rejects(embedder.embed(["a", "b", "c", " "]), (error) => {
      assert.ok(error instanceof EmptyEmbedding)
      assert.deepEqual([error.index, error.text], [3, " "])
      return true
    })
    await assert.rejects(embedder.embed(["a"], { signal: AbortSignal.abort() }), Cancelled)
  })
})

describe("callers who want the same text at the same time", () => {
  /** An embedder whose calls wait for one another to be let go. */
  const gated = () => {
    const calls: Array<{ readonly texts: ReadonlyArray<string>; readonly go: (error?: Error) => void }> = []
    const hash = hashEmbedder({ dimensions: DIMENSIONS })
    const embedder: Embedder = {
      ...hash,
      embed: async (texts, { signal } = {}) => {
        await new Promise<void>((resolve, reject) => {
          calls.push({ texts, go: (error) => (error === undefined ? resolve() : reject(error)) })
          signal?.addEventListener("abort", () => reject(new Cancelled()))
        })
        return hash.embed(texts)
      }
    }
    return { calls, hash, embedder: cachedEmbedder(embedder) }
  }
  const turn = () => new Promise(setImmediate)

  test("share its encoding, and each has vectors of its own", async () => {
    const { calls, hash, embedder } = gated()
    const asked = [["a", "b"], ["b"], ["c", "a"], ["a", "b"]]
    const working = asked.map((texts) => embedder.embed(texts))
    await turn()
    assert.deepEqual(
      calls.map(({ texts }) => texts),
      [["a", "b"], ["c"]]
    )
    for (const { go } of calls) go()
    for (const [i, vectors] of (await Promise.all(working)).entries()) {
      assert.deepEqual(vectors, await hash.embed(asked[i]!))
      vectors.fill(9)
    }
    assert.deepEqual(await embedder.embed(["a"]), await hash.embed(["a"]))
    assert.equal(calls.length, 2)
  })

  test("share its failure, and the next who asks has it encoded anew", async () => {
    const { calls, embedder } = gated()
    const working = [embedder.embed(["a"]), embedder.embed(["a"])]
    await turn()
    calls[0]!.go(new Error("down"))
    for (const outcome of await Promise.allSettled(working)) {
      assert.ok(outcome.status === "rejected" && /down/.test(String(outcome.reason)))
    }
    const again = embedder.embed(["a"])
    await turn()
    assert.equal(calls.length, 2)
    calls[1]!.go()
    assert.equal((await again).length, DIMENSIONS)
  })

  test("are not given up with the one who asked first, nor refused for another text of his", async () => {
    const { calls, hash, embedder } = gated()
    const controller = new AbortController()
    const gone = embedder.embed(["a"], { signal: controller.signal })
    const stays = [embedder.embed(["a"]), embedder.embed(["a", "b"])]
    await turn()
    controller.abort()
    await assert.rejects(gone, Cancelled)
    await turn()
    for (const { go } of calls) go()
    assert.deepEqual(await Promise.all(stays), [await hash.embed(["a"]), await hash.embed(["a", "b"])])
    assert.equal(calls.filter(({ texts }) => texts.includes("a")).length, 2)

    const refused = embedder.embed(["c", " "])
    const fine = embedder.embed(["c"])
    await turn()
    calls.at(-1)!.go()
    await assert.rejects(refused, EmptyEmbedding)
    await turn()
    calls.at(-1)!.go()
    assert.deepEqual(await fine, await hash.embed(["c"]))
  })

  test("wait no longer than their own signal lets them", async () => {
    const { embedder } = gated()
    const controller = new AbortController()
    const first = embedder.embed(["a"])
    first.catch(() => undefined)
    const waiting = embedder.embed(["a"], { signal: controller.signal })
    await turn()
    controller.abort()
    await assert.rejects(waiting, Cancelled)
  })
})

describe("text queries of a collection", () => {
  test("are remembered, documents are not", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", { embedder: openai(), dimensions: DIMENSIONS })
    await notes.add({ key: "a", text: "a cat" })
    await notes.add({ key: "b", text: "a cat" })
    server.requests.length = 0
    const first = await notes.search("cats")
    assert.deepEqual(await notes.search("cats"), first)
    await notes.namespace("other").search("cats")
    await notes.searchMany(["dogs", "cats"])
    assert.deepEqual(sent(), [["cats"], ["dogs"]])
    const { hits, misses, entries } = notes.stats().queryCache!
    assert.deepEqual({ hits, misses, entries }, { hits: 3, misses: 2, entries: 2 })
    // A model that is named anew is the same model.
    await (await db.collection("notes", { embedder: openai() })).search("cats")
    assert.equal(server.requests.length, 2)
  })

  test("an attached thread remembers its own", async () => {
    await using db = await open(":memory:")
    const notes = await db.collection("notes", { embedder: openai() })
    await using reader = attach(notes.share().handle, { embedder: openai() })
    await reader.search("cats")
    await reader.search("cats")
    assert.equal(server.requests.length, 1)
  })

  test("none are of quick embedders, or of any where none are wanted", async () => {
    await using db = await open(":memory:")
    const embedder = hashEmbedder({ dimensions: DIMENSIONS })
    const quick = await db.collection("quick", { embedder })
    const told = await db.collection("told", { embedder, queryCache: { maxEntries: 1 } })
    const own = await db.collection("own", { embedder: { quick: true, embed: (texts) => texts.map(() => [1, 1]) } })
    const none = await db.collection("none", { embedder: openai(), queryCache: false })
    for (const notes of [quick, told, own, none]) {
      for (const text of ["cats", "cats", "dogs"]) await notes.search(text)
    }
    assert.equal(quick.stats().queryCache?.entries, 0)
    assert.equal(own.stats().queryCache?.entries, 0)
    assert.deepEqual(told.stats().queryCache?.hits, 1)
    assert.deepEqual(told.stats().queryCache?.evictions, 1)
    assert.equal(none.stats().queryCache, undefined)
    assert.equal(server.requests.length, 3)
  })

  test("wrong options are refused", async () => {
    await using db = await open(":memory:")
    const wrong = db.collection("a", { dimensions: 2, queryCache: { maxEntries: 0 } })
    await assert.rejects(wrong, { _tag: "InvalidParameter", parameter: "maxEntries" })
  })
})
