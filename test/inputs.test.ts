/** What callers without types, with changing arrays or with failing embedders get: typed errors, and nothing changed. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { Database } from "../src/effect.ts"
import { attach, type Collection, type Embedder, hashEmbedder, open } from "../src/index.ts"
import { randomVectors } from "./property/kernels/random.ts"

/** Calls a typed function with anything. */
const untyped = (call: unknown) => call as (...args: ReadonlyArray<unknown>) => unknown

const embedderOf = (embed: unknown, id: unknown = "test/1"): Embedder =>
  ({ id, dimensions: 3, embed }) as unknown as Embedder

const withTexts = async (embed: unknown, use: (texts: Collection) => Promise<void>): Promise<void> => {
  await using db = await open(":memory:")
  await use(await db.collection("texts", { embedder: embedderOf(embed) }))
}

test("arguments of the wrong type are refused by name, and nothing changes", async () => {
  await using db = await open(":memory:")
  const items = await db.collection("items", { dimensions: 3 })
  await items.add({ key: "a", vector: [1, 2, 3] })
  const { add, addMany, update, search, searchMany, get } = items
  const calls: ReadonlyArray<readonly [call: unknown, ...args: ReadonlyArray<unknown>]> = [
    [open, undefined],
    [open, ""],
    [open, 5],
    [open, ":memory:", null],
    [open, ":memory:", { threads: Symbol("many") }],
    [db.collection, ["items"]],
    [db.collection, "b", null],
    [db.collection, "b", { dimensions: 3, metric: Symbol("near") }],
    [db.collection, "b", { dimensions: 3, embedder: null }],
    [db.collection, "b", { embedder: embedderOf(() => [], 5) }],
    [db.collection, "b", { embedder: embedderOf(undefined) }],
    [add],
    [add, null],
    [add, { key: "b" }],
    [add, { key: "b", vector: null }],
    [add, { key: "b", vector: "123" }],
    [add, { key: "b", vector: [1, null, 2] }],
    [add, { key: "b", vector: ["1", "2", "3"] }],
    [add, { key: "b", vector: new BigInt64Array(3) }],
    [add, { key: "b", vector: [1, 2, 3], payload: new Map() }],
    [add, { key: "b", vector: [1, 2, 3], payload: new Float32Array(2) }],
    [add, { key: "b", vector: [1, 2, 3], payload: 1n }],
    ...[Uint8Array.of(1), new Float32Array(0), Buffer.of(1), new ArrayBuffer(1), new Set([1])].map(
      (lost) => [add, { key: "b", vector: [1, 2, 3], payload: { list: [{ lost }] } }] as const
    ),
    [update, { key: "a" }],
    [addMany],
    [addMany, "abc"],
    [addMany, {}],
    [addMany, [null]],
    [
      addMany,
      [
        { key: "b", vector: [1, 2, 3] },
        { key: 5, vector: [1, 2, 3] }
      ]
    ],
    [addMany, { keys: "abc", vectors: new Float32Array(9) }],
    [addMany, { keys: ["b"], vectors: new Float32Array(3).fill(1), payloads: "x" }],
    [addMany, [], null],
    [addMany, [], { onProgress: 5 }],
    [addMany, [], { replace: "yes" }],
    [search, null],
    [search, [1, 2, 3], null],
    [search, [1, 2, 3], { k: Symbol("few") }],
    [search, [1, 2, 3], { signal: { aborted: true } }],
    [searchMany, [[1, 2, 3]]],
    [get, 5],
    [attach],
    [attach, {}],
    [attach, items.share()]
  ]
  for (const [call, ...args] of calls) {
    const refused = (async () => untyped(call)(...args))()
    await assert.rejects(
      refused,
      { _tag: "InvalidParameter" },
      `${String(call).slice(0, 20)} ${JSON.stringify(args, (_, v) => (typeof v === "bigint" || typeof v === "symbol" ? String(v) : v))}`
    )
  }
  assert.equal(items.size(), 1)
  assert.deepEqual((await items.get("a"))?.payload, undefined)
})

test("what is given is taken as it is at the time of the call", async () => {
  await using db = await open(":memory:")
  const items = await db.collection("items", { dimensions: 2 })
  const buffer = new Float32Array(2)
  const adds = Array.from({ length: 3000 }, (_, i) => {
    buffer.set([i + 1, 1])
    return items.add({ key: `k${i}`, vector: buffer })
  })
  await Promise.all(adds)
  for (const i of [0, 1500, 2999]) {
    const [hit] = await items.search([i + 1, 1], { k: 1, mode: "exact" })
    const [x = 0, y = 1] = (await items.get(`k${i}`))?.vector ?? []
    assert.ok(Math.abs(x / y - (i + 1)) < 0.01 * (i + 1), `${i}: ${x / y}`)
    assert.ok((hit?.score ?? 0) > 0.999999)
  }
  const keys = ["x", "y"]
  const added = items.addMany({ keys, vectors: Float32Array.of(1, 0, 0, 1) })
  keys.fill("z")
  await added
  assert.deepEqual([await items.has("x"), await items.has("y"), await items.has("z")], [true, true, false])
})

test("what reading an entry throws is what the write rejects with", async () => {
  await using db = await open(":memory:")
  const notes = await db.collection("notes", { dimensions: 2 })
  await notes.add({ key: "a", vector: [1, 0] })
  const own = new Error("of the caller's")
  const entry = {
    key: "b",
    get vector(): never {
      throw own
    }
  }
  const writes = [notes.add(entry), notes.update(entry)]
  for (const write of writes) await assert.rejects(write, own)
  assert.equal(await notes.get("b"), undefined)
})

test("a component may be as large as a precision holds, and no larger; directions may have any length", async () => {
  await using db = await open(":memory:", { threads: 1 })
  const { MAX_VALUE } = Number
  const largest = Math.fround(3.4028234e38)
  const cases = [
    { metric: "dot", precision: "f16", allowed: 65_504, refused: 65_505 },
    { metric: "l2", precision: "f16", allowed: -65_504, refused: -65_505 },
    { metric: "dot", precision: "f32", allowed: Math.fround(9.999e14), refused: Math.fround(1.0001e15) },
    { metric: "l2", precision: "int8", allowed: -9.999e14, refused: -1.0001e15 },
    { metric: "cosine", precision: "f16", allowed: largest, refused: MAX_VALUE }
  ] as const
  for (const [i, { metric, precision, allowed, refused }] of cases.entries()) {
    const items = await db.collection(`c${i}`, { dimensions: 2, metric, precision })
    await items.add({ key: "allowed", vector: [1, allowed] })
    const reason = refused === MAX_VALUE ? "infinite" : "out-of-range"
    const error = { _tag: "InvalidVector", index: 0, reason, status: 400 }
    await assert.rejects(items.add({ key: "refused", vector: [1, refused] }), error)
    await assert.rejects(items.search([1, refused]), error)
    await assert.rejects(items.addMany({ keys: ["a", "b"], vectors: Float32Array.of(1, 1, 1, refused) }), {
      ...error,
      index: 1
    })
    assert.equal(items.size(), 1)
    assert.equal((await items.search([1, allowed], { mode: "exact" }))[0]?.key, "allowed")
  }
})

test("update leaves what is not given as it is", async () => {
  await using db = await open(":memory:")
  const items = await db.collection("items", { dimensions: 2 })
  await items.add({ key: "a", vector: [1, 0], payload: { title: "kept" } })
  await items.update({ key: "a", vector: [0, 1] })
  assert.deepEqual((await items.get("a"))?.payload, { title: "kept" })
  await items.update({ key: "a", payload: Uint8Array.of(7) })
  const entry = await items.get("a")
  assert.deepEqual([entry?.payload, [...(entry?.vector ?? [])]], [Uint8Array.of(7), [0, 1]])
})

test("a failing embedder is a typed error in both doors", async () => {
  const failures: ReadonlyArray<unknown> = [
    () => Promise.reject(new Error("429")),
    () => {
      throw new Error("at once")
    },
    async () => undefined,
    async () => [1, 2, 3],
    async () => new Float32Array(2),
    async () => new Float32Array(6).fill(1)
  ]
  for (const embed of failures) {
    await withTexts(embed, async (texts) => {
      const failed = { _tag: "EmbedderFailed", embedder: "test/1", retryable: true }
      await assert.rejects(texts.add({ key: "a", text: "b" }), failed)
      await assert.rejects(texts.addMany([{ key: "a", text: "b" }]), failed)
      await assert.rejects(texts.search("b"), failed)
      assert.equal(texts.size(), 0)
    })
  }
  const program = Effect.gen(function* () {
    const db = yield* Database
    const texts = yield* db.collection("texts", { embedder: embedderOf(() => Promise.reject(new Error("429"))) })
    return yield* Effect.flip(texts.search("b"))
  })
  const error = await Effect.runPromise(program.pipe(Effect.provide(Database.layer(":memory:"))))
  assert.equal(error._tag, "EmbedderFailed")
})

test("cancelling does not wait for an embedder that is deaf to it", async () => {
  await withTexts(
    () => setTimeout(60_000, undefined, { ref: false }),
    async (texts) => {
      await assert.rejects(texts.search("b", { signal: AbortSignal.timeout(20) }), { _tag: "Cancelled" })
      const batch = texts.addMany([{ key: "a", text: "b" }], { signal: AbortSignal.timeout(20) })
      await assert.rejects(batch, { _tag: "Cancelled" })
    }
  )
})

test("the Effect door obeys the signal of a call too", async () => {
  const program = Effect.gen(function* () {
    const db = yield* Database
    const items = yield* db.collection("items", { dimensions: 2 })
    return yield* Effect.flip(items.search([1, 1], { signal: AbortSignal.abort() }))
  })
  const error = await Effect.runPromise(program.pipe(Effect.provide(Database.layer(":memory:"))))
  assert.equal(error._tag, "Cancelled")
})

test("an empty text of a batch is named by its entry", async () => {
  await using db = await open(":memory:")
  const texts = await db.collection("texts", { embedder: hashEmbedder({ dimensions: 16 }) })
  const entries = [
    { key: "a", vector: Array(16).fill(1) },
    { key: "b", text: "word" },
    { key: "c", text: " " }
  ]
  await assert.rejects(texts.addMany(entries), { _tag: "EmptyEmbedding", index: 2, text: " " })
  const short = [
    { key: "a", text: "word" },
    { key: "b", vector: [1, 2] }
  ]
  await assert.rejects(texts.addMany(short), { _tag: "DimensionMismatch", expected: 16, got: 2, index: 1 })
})

test("an embedder can come with a later call, and an attached thread must bring the same one", async () => {
  await using db = await open(":memory:")
  const embedder = hashEmbedder({ dimensions: 16 })
  const texts = await db.collection("texts", { embedder })
  await texts.add({ key: "a", text: "some words" })
  await db.collection("texts")
  const another = { ...hashEmbedder({ dimensions: 16 }), id: "another/1" }
  assert.throws(() => attach(texts.share().handle, { embedder: another }), {
    _tag: "CollectionMismatch",
    field: "embedder"
  })
  await using reader = attach(texts.share().handle, { embedder })
  assert.equal((await reader.search("some words", { k: 1 }))[0]?.key, "a")
})

test("a batch that is refused leaves the encoder of the collection alone", async () => {
  await using db = await open(":memory:")
  const items = await db.collection("items", { dimensions: 8, metric: "dot" })
  const huge = randomVectors(3, 3000 * 8).map((x) => x * 1e12)
  const keys = Array.from({ length: 3000 }, (_, i) => `k${i}`)
  const payloads = keys.map((_, i) => (i === 2999 ? 1n : i))
  await assert.rejects(items.addMany({ keys, vectors: huge, payloads }), { _tag: "InvalidParameter" })
  assert.deepEqual([items.size(), items.stats().encoder], [0, "projection"])
})

test("a batch whose vectors change under its training is refused, and leaves the encoder alone too", async () => {
  await using db = await open(":memory:", { threads: 1 })
  for (const codes of ["trained", { pq: { m: 4 } }] as const) {
    const collection = await db.collection(`changing-${typeof codes}`, { dimensions: 8, metric: "l2", codes })
    const vectors = randomVectors(1, 2048 * 8)
    const vectorOf = (i: number) => vectors.subarray(8 * i, 8 * i + 8)
    const changing = (change: number) => {
      let readings = 0
      return Array.from({ length: 2048 }, (_, i) => ({
        key: `k${i}`,
        get vector() {
          return i === 5 && ++readings >= change ? new Float32Array(8).fill(Number.POSITIVE_INFINITY) : vectorOf(i)
        }
      }))
    }
    for (const change of [2, 3, 4]) {
      await assert.rejects(collection.addMany(changing(change)), { _tag: "InvalidVector", index: 5 })
    }
    await collection.addMany(changing(5))
    const found = await collection.search(vectorOf(7), { k: 1, mode: codes === "trained" ? "flat" : "pq" })
    assert.equal(found[0]?.key, "k7")
  }
})

test("iteration lets the event loop turn", async () => {
  await using db = await open(":memory:")
  const items = await db.collection("items", { dimensions: 2 })
  const count = 20_000
  const keys = Array.from({ length: count }, (_, i) => `k${i}`)
  await items.addMany({ keys, vectors: randomVectors(4, count * 2) })
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  let met = 0
  for await (const _ of items.entries()) met++
  clearInterval(timer)
  assert.equal(met, count)
  assert.ok(turns > 5, `${turns} turns`)
})
